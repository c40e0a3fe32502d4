// docs/key-ceremony.md, followed to the letter: its commands in order, and what it says they print.
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import {
  makeCsr,
  openssl,
  openOfflineFolder,
  runLauncher,
  withPass,
  type OfflineRoot,
} from './support/offline-root.ts';

const page = readFileSync(resolve(import.meta.dirname, '../../../docs/key-ceremony.md'), 'utf8');

interface Step {
  readonly command: readonly string[];
  readonly printed: string;
}

/** `$ command` and the lines under it, from every console block. */
function stepsOf(text: string): Step[] {
  const blocks = [...text.matchAll(/^```console\n([^]*?)^```$/gm)].map(([, block = '']) => block);
  return blocks
    .flatMap((block) => block.split(/^\$ /m).slice(1))
    .map((step) => {
      const [line = '', ...printed] = step.split('\n');
      const words = [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(
        ([, quoted, bare]) => quoted ?? bare,
      );
      return { command: words.map(String), printed: printed.join('\n') };
    });
}

/** Without what differs from run to run, and without the questions, which --yes and a passphrase file answer here. */
function comparable(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ/g, 'TIME')
    .replace(/\b(?:[0-9A-F]{2}:){31}[0-9A-F]{2}\b/g, 'FINGERPRINT')
    .replace(/\b[0-9a-f]{34,64}\b/g, (hex) => `HEX${hex.length}`)
    .replace(/^(?:.*Type yes: yes|New passphrase.*:|Passphrase.*:|Again:)\n/gm, '');
}

describe.skipIf(!has('openssl'))('docs/key-ceremony.md', () => {
  it('prints what the commands print', async () => {
    const offline = openOfflineFolder();
    try {
      const steps = stepsOf(page);
      expect(steps.map(({ command }) => command.slice(0, 2).join(' '))).toEqual([
        'keyline-root init',
        'keyline-root inspect',
        'keyline-root sign-intermediate',
        'keyline-root crl',
        'openssl verify',
        'keyline-root inspect',
        'keyline-root revoke',
        'keyline-root crl',
      ]);
      for (const { command, printed } of steps) {
        const said = await follow(offline, command);
        expect({ command, said: comparable(said) }).toEqual({ command, said: comparable(printed) });
      }
    } finally {
      offline.remove();
    }
  });
});

async function follow(
  offline: OfflineRoot,
  [program, ...words]: readonly string[],
): Promise<string> {
  if (program === 'openssl') return openssl(offline, ...words);
  const args = words.map((word) => (word === '/srv/root' ? offline.folder : word));
  // The stick with the request has arrived.
  if (args[0] === 'inspect' && args.includes('issuing.csr')) {
    makeCsr(offline, 'issuing', { cn: 'Acme Issuing CA 1' });
  }
  const answers = { inspect: [], revoke: ['--yes'] }[args[0] ?? ''] ?? withPass;
  const ran = await runLauncher([...args, ...answers]);
  expect({ args, code: ran.code, err: ran.code === 0 ? '' : ran.err }).toMatchObject({ code: 0 });
  return `${ran.err}${ran.out}`.replaceAll(offline.folder, '/srv/root');
}
