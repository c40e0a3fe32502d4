// The person at the keyboard and the clock: prompts through a real pseudo terminal, the rest in this process.
import { spawn } from 'node:child_process';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Duration, FakeClock, systemClock, type Clock } from '@keyline/kernel';
import { findCommand, has } from '../../../test/support/needs.ts';
import { askLine } from '../src/ask-line.ts';
import { runRoot } from '../src/program.ts';
import {
  launcher,
  makeCsr,
  openOfflineRoot,
  openOfflineFolder,
  passphrase,
  withPass,
  type Ran,
  type OfflineRoot,
} from './support/offline-root.ts';

let offline: OfflineRoot;
afterEach(() => offline.remove());

/** Runs a command in this process, with somebody who gives these answers. */
async function runHere(
  args: readonly string[],
  given: { answers?: string[]; clock?: Clock } = {},
): Promise<Ran & { questions: string[] }> {
  const { answers = [], clock = systemClock } = given;
  const questions: string[] = [];
  let out = '';
  let err = '';
  const code = await runRoot(['--dir', offline.folder, ...args], {
    clock,
    cwd: offline.folder,
    pid: process.pid,
    isAlive: () => false,
    terminal: {
      out: (text) => (out += text),
      err: (text) => (err += text),
      interactive: answers.length > 0,
      ask: async (question) => {
        questions.push(question);
        return answers.shift() ?? '';
      },
      readInput: () => '',
    },
  });
  return { code, out, err, questions };
}

describe('the question before something is signed', () => {
  beforeEach(async () => {
    offline = await openOfflineRoot();
  });

  it('lets only "yes" through', async () => {
    for (const answer of ['no', 'y', '', 'yes please']) {
      const ran = await runHere(['crl', '--passphrase-file', 'pass'], { answers: [answer] });
      expect({ answer, code: ran.code }).toEqual({ answer, code: 3 });
      expect(ran.err).toContain('nothing was done');
    }
    expect(offline.readJson('root-state.json').crlNumber).toBe(0);
    const ran = await runHere(['crl', '--passphrase-file', 'pass'], { answers: [' YES '] });
    expect(ran).toMatchObject({ code: 0, questions: [expect.stringContaining('Type yes')] });
  });

  it.skipIf(!has('openssl'))('comes before an authority is signed or revoked', async () => {
    makeCsr(offline, 'issuing');
    const sign = ['sign-intermediate', '--passphrase-file', 'pass', '--csr', 'issuing.csr'];
    expect(await runHere(sign, { answers: ['no'] })).toMatchObject({ code: 3 });
    expect(offline.readJson('root-state.json').intermediates).toEqual([]);
    expect(await runHere(sign, { answers: ['yes'] })).toMatchObject({ code: 0 });
    const { serial } = offline.readJson('root-state.json').intermediates[0];
    const revoke = ['revoke', '--serial', serial];
    expect(await runHere(revoke, { answers: ['no'] })).toMatchObject({ code: 3 });
    expect(offline.readJson('root-state.json').intermediates[0].revoked).toBeUndefined();
  });

  it('is not answered by the end of the input', async () => {
    const input = new PassThrough();
    const answer = askLine('Sign it? ', { input, output: new PassThrough() });
    input.end();
    await expect(answer).rejects.toMatchObject({ code: 'USAGE' });
    const open = new PassThrough();
    const given = askLine('Sign it? ', { input: open, output: new PassThrough() });
    open.write('yes\n');
    await expect(given).resolves.toBe('yes');
  });
});

describe('the clock', () => {
  beforeEach(async () => {
    offline = await openOfflineRoot();
  });

  it('is refused when it stands before the last use of the root', async () => {
    const clock = new FakeClock(Date.now() - Duration.days(1));
    const ran = await runHere(['crl', ...withPass], { clock });
    expect(ran).toMatchObject({ code: 3 });
    expect(ran.err).toMatch(/Set the clock right/);
    clock.advance(Duration.days(2));
    expect(await runHere(['crl', ...withPass], { clock })).toMatchObject({ code: 0 });
    clock.advance(-Duration.hours(1));
    expect(await runHere(['crl', ...withPass], { clock })).toMatchObject({ code: 3 });
  });

  it.skipIf(!has('openssl'))('ends the signing of authorities with the root', async () => {
    makeCsr(offline, 'issuing');
    const clock = new FakeClock(Date.now() + Duration.days(366 * 20));
    const sign = ['sign-intermediate', ...withPass, '--csr', 'issuing.csr'];
    const ran = await runHere(sign, { clock });
    expect(ran).toMatchObject({ code: 3 });
    expect(ran.err).toContain('VALIDITY_NOT_ALLOWED');
  });
});

describe.skipIf(!has('script'))('the passphrase at the keyboard', () => {
  beforeEach(() => {
    offline = openOfflineFolder();
  });

  it('is asked twice for a new root and never shown', async () => {
    const { code, shown } = await atTerminal(
      ['init', '--common-name', 'Typed'],
      [
        ['Make this root? Type yes: ', 'yes'],
        ['New passphrase for the root key: ', passphrase],
        ['Again: ', passphrase],
      ],
    );
    expect({ code, shown }).toMatchObject({ code: 0 });
    expect(shown).not.toContain(passphrase);
    expect(await offline.must('crl', ...withPass)).toMatchObject({ number: 1 });
  });

  it('makes no root when the two differ', async () => {
    const { code, shown } = await atTerminal(
      ['init', '--yes'],
      [
        ['New passphrase for the root key: ', passphrase],
        ['Again: ', 'something else entirely'],
      ],
    );
    expect(code).toBe(2);
    expect(shown).toContain('differ');
    expect(() => offline.read('root.key')).toThrow('ENOENT');
  });

  it('makes no root with one that is too short, which is said before it is asked for again', async () => {
    const { code, shown } = await atTerminal(
      ['init', '--yes'],
      [['New passphrase for the root key: ', 'short word']],
    );
    expect(code).toBe(2);
    expect(shown).toContain('shorter than 12 characters');
    expect(shown).not.toContain('Again:');
  });

  it('can be given up with Ctrl-C, which leaves no lock', async () => {
    const { code, shown } = await atTerminal(['init'], [['Make this root? Type yes: ', '\u0003']]);
    expect(code).toBe(2);
    expect(shown).toContain('Cancelled');
    expect(() => offline.read('root.lock')).toThrow('ENOENT');
  });

  /** Answers each question when it has been asked. */
  async function atTerminal(
    args: readonly string[],
    dialogue: readonly (readonly [question: string, answer: string])[],
  ): Promise<{ code: number | null; shown: string }> {
    const words = [launcher, ...args, '--dir', offline.folder].map((word) => `'${word}'`);
    const child = spawn(findCommand('script') ?? '', ['-qec', words.join(' '), '/dev/null'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    const waiting = [...dialogue];
    let shown = '';
    let seen = 0;
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      shown += part;
      const [next] = waiting;
      const at = next === undefined ? -1 : shown.indexOf(next[0], seen);
      if (next === undefined || at < 0) return;
      seen = at + next[0].length;
      waiting.shift();
      child.stdin.write(next[1] === '\u0003' ? next[1] : `${next[1]}\r`);
    });
    const code = await new Promise<number | null>((done) => child.on('close', done));
    return { code, shown };
  }
});
