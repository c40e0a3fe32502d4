// Who may read a file with a secret.
import { describe, expect, it } from 'vitest';
import { assertPrivate, isKeylineError, quoteForShell } from '../src/index.ts';

const check = (mode: number, platform = 'linux', path = '/etc/k/a.key'): string | undefined => {
  try {
    assertPrivate({ path, what: 'private key', mode, platform });
    return undefined;
  } catch (error) {
    return isKeylineError(error) ? `${error.code} ${error.detail}` : 'another error';
  }
};

describe('a file with a secret', () => {
  it.each([0o100600, 0o100400, 0o600])('of mode %o is its owner’s alone', (mode) => {
    expect(check(mode)).toBeUndefined();
  });

  it.each([0o644, 0o640, 0o604, 0o660, 0o610, 0o601, 0o777])('of mode %o is refused', (mode) => {
    expect(check(0o100000 | mode)).toBe(
      `FILE_UNREADABLE The private key "/etc/k/a.key" can be read by others (mode ${mode.toString(8)}), so it is not used. Run: chmod 600 /etc/k/a.key`,
    );
  });

  it('is named as a shell takes it', () => {
    expect(check(0o644, 'linux', "/srv/it's here/a.key")).toMatch(
      /chmod 600 '\/srv\/it'\\''s here\/a\.key'$/,
    );
    expect(quoteForShell('-rf $(x)')).toBe("'-rf $(x)'");
  });

  it('has no such bits on Windows', () => {
    expect(check(0o666, 'win32')).toBeUndefined();
  });
});
