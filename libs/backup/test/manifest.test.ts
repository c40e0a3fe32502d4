import { describe, expect, it } from 'vitest';
import { parseManifest, type Manifest } from '../src/manifest.ts';

const hash = 'ab'.repeat(32);
const manifest: Manifest = {
  format: 'keyline-backup',
  version: 1,
  id: 'b-1',
  createdAt: '2026-12-01T03:00:00Z',
  keyline: '0.1.0',
  kind: 'plant',
  database: {
    path: 'ca/keyline.db',
    schemaVersion: 11,
    identity: null,
    ledger: { seq: 7, at: '2026-12-01T02:00:00.123Z', sha256: hash },
    crlNumbers: { 'issuing-1': 3 },
    devices: 1,
    certificates: 2,
    authorities: [{ id: 'issuing-1', certificate: 'AA==', root: 'AA==' }],
  },
  root: false,
  passphrase: false,
  files: [{ path: 'ca/keyline.db', bytes: 1, sha256: hash, mode: 0o600 }],
};
const withPath = (path: string): string =>
  JSON.stringify({ ...manifest, files: [{ ...manifest.files[0], path }] });

describe('the manifest of a backup', () => {
  it('reads what it wrote', () => {
    expect(parseManifest(JSON.stringify(manifest))).toEqual(manifest);
  });

  it('says which version to use for a format that is newer', () => {
    expect(() => parseManifest(JSON.stringify({ ...manifest, version: 2 }))).toThrow(
      /has format 2, and this Keyline knows 1/,
    );
  });

  it.each(['../x', '/etc/passwd', 'a//b', 'a/./b', 'a/../../b', 'c:\\x', 'a\0b', ''])(
    'refuses the path %j, which leads out of the folder or is read differently elsewhere',
    (path) => {
      expect(() => parseManifest(withPath(path))).toThrow(/no backup of Keyline/);
    },
  );

  it('refuses two names that some file systems take for one', () => {
    const files = ['ca/A', 'ca/a'].map((path) => ({ ...manifest.files[0], path }));
    expect(() => parseManifest(JSON.stringify({ ...manifest, files }))).toThrow(/two files/);
  });

  it.each(['', 'null', '[]', '{', '{"format":"tar"}', '{"format":"keyline-backup","version":1}'])(
    'says of %j that it is no manifest',
    (text) => {
      expect(() => parseManifest(text)).toThrow(/FILE_UNREADABLE.*no backup of Keyline/);
    },
  );
});
