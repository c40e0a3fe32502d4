// The encoding of entries: the same bytes whatever order members were made in, back to what it was, and nothing of a newer version.
import { describe, expect, it } from 'vitest';
import { decodeEntryData, encodeEntryData, type EntryData } from '../src/index.ts';

const enrolled = {
  kind: 'device-enrolled',
  device: 'd1',
  type: 'sensor',
  state: 'active',
  role: 'device',
  serial: '0a',
  notAfter: 90,
  token: 'tok_1',
} as const;

describe('the data of an entry', () => {
  it('is the same text in whatever order its members were made', () => {
    const turned = Object.fromEntries(
      Object.entries(enrolled).toReversed(),
    ) as unknown as EntryData;
    expect(encodeEntryData(turned)).toBe(encodeEntryData(enrolled));
    expect(encodeEntryData(enrolled)).toBe(
      '{"v":2,"kind":"device-enrolled","device":"d1","type":"sensor","state":"active","role":"device","serial":"0a","notAfter":90,"token":"tok_1"}',
    );
  });

  it('comes back as it was, without its version', () => {
    const all: EntryData[] = [
      enrolled,
      {
        kind: 'device-revoked',
        device: 'd"1\n',
        type: 't',
        state: 'revoked',
        role: 'r',
        reason: 'keyCompromise',
        serials: ['0a', '0b'],
      },
      { kind: 'identity-conflict', identity: 'd1', old: '0a', current: '0b', answered: false },
      { kind: 'authority-activated', authority: 'a', profiles: ['device'] },
      { kind: 'authority-retired', authority: 'a' },
    ];
    for (const data of all) expect(decodeEntryData(encodeEntryData(data))).toEqual(data);
  });

  it('leaves out what is undefined, as if it was never there', () => {
    const { token: _token, ...rest } = enrolled;
    expect(encodeEntryData({ ...enrolled, token: undefined } as unknown as EntryData)).toBe(
      encodeEntryData(rest),
    );
  });

  it('of the first version, which said none, is still read', () => {
    expect(decodeEntryData('{"token":"t","kind":"token-created","use":"api"}')).toEqual({
      kind: 'token-created',
      token: 't',
      use: 'api',
    });
  });

  it('of a newer version is refused with STORE_STALE: half of what it says would be lost', () => {
    expect(() => decodeEntryData('{"v":3,"kind":"token-created"}')).toThrow('STORE_STALE');
  });

  it('of a kind that the ledger does not have is not written', () => {
    expect(() => encodeEntryData({ kind: 'other' } as unknown as EntryData)).toThrow('INTERNAL');
  });
});
