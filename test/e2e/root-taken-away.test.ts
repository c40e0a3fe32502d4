// A data folder after its first start: what is taken away or damaged there, and what keyline up makes of it.
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { launchKeyline, startKeyline } from '../support/keyline.ts';

it('goes on without its root, with a new administrator for a damaged one, and never makes another root or passphrase', async () => {
  const data = mkdtempSync(join(tmpdir(), 'keyline-root-away-'));
  const at = (...names: string[]): string => join(data, ...names);
  try {
    await (await startKeyline({ data })).stop();
    const trust = readFileSync(at('trust.pem'), 'utf8');
    // As docs/known-gaps.md says, for more than a trial.
    rmSync(at('root'), { recursive: true });
    rmSync(at('secrets', 'root.pass'));
    writeFileSync(at('admin', 'admin.crt'), 'no certificate');
    const keyline = await startKeyline({ data });
    expect(readFileSync(at('admin', 'admin.crt'), 'utf8')).toContain('BEGIN CERTIFICATE');
    await keyline.stop();
    expect([existsSync(at('root')), existsSync(at('secrets', 'root.pass'))]).toEqual([
      false,
      false,
    ]);
    expect(readFileSync(at('trust.pem'), 'utf8')).toBe(trust);

    renameSync(at('secrets', 'ca.pass'), at('elsewhere.pass'));
    await expect(launchKeyline({ data }).ready).rejects.toThrow(/There is no file .*ca\.pass/);
    expect(existsSync(at('secrets', 'ca.pass'))).toBe(false);
  } finally {
    rmSync(data, { recursive: true, force: true });
  }
});
