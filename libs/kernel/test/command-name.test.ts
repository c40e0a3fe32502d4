import { describe, expect, it } from 'vitest';
import { commandNamer } from '../src/index.ts';

const words = ['up', 'device', 'ca'];
const name = (place: string | undefined, text: string): string => commandNamer(place, words)(text);

describe('a command line in a message', () => {
  it('stays as it is where the programs are called by their names, and where nobody found out', () => {
    const text = 'Start it with "keyline up --data .keyline".';
    expect(name('path', text)).toBe(text);
    expect(name(undefined, text)).toBe(text);
    expect(name('', text)).toBe(text);
  });

  it('goes through npx in a checkout', () => {
    expect(name('npx', '  keyline device list\n  keyline --help')).toBe(
      '  npx keyline device list\n  npx keyline --help',
    );
    expect(name('npx', 'with keyline-root crl, and bring it with keyline ca root-crl.')).toBe(
      'with npx keyline-root crl, and bring it with npx keyline ca root-crl.',
    );
  });

  it('begins with the path of the program elsewhere, quoted when a shell would split it', () => {
    expect(name('/opt/keyline', '"keyline up" or keyline-ca migrate')).toBe(
      '"/opt/keyline/apps/cli/bin/keyline up" or /opt/keyline/apps/ca/bin/keyline-ca migrate',
    );
    expect(name("/opt/it's here", 'keyline up')).toBe(
      String.raw`'/opt/it'\''s here/apps/cli/bin/keyline' up`,
    );
    expect(name('/opt/$&', 'keyline up')).toBe("'/opt/$&/apps/cli/bin/keyline' up");
  });

  it('is not what prose says of a program, nor what a path, a URL or another name has in it', () => {
    for (const text of [
      'keyline-root reads only what lies there',
      'keyline is up.',
      'keyline upholds it',
      'keyline up-to-date',
      '/opt/keyline up',
      'admin@keyline device',
      'my-keyline up',
      '.keyline up',
      'npx keyline up',
      'npx keyline-root init',
    ]) {
      expect(name('npx', text)).toBe(text);
    }
  });
});
