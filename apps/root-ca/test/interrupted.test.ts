// Runs that end in the middle: the next one finishes them, and no CRL number is given twice.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, rmdirSync, rmSync, watch } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import {
  launcher,
  makeCsr,
  openOfflineRoot,
  withPass,
  type OfflineRoot,
} from './support/offline-root.ts';

describe.skipIf(!has('openssl'))('an interrupted keyline-root', () => {
  let offline: OfflineRoot;
  beforeEach(async () => {
    offline = await openOfflineRoot();
  });
  afterEach(() => offline.remove());

  it('never gives a CRL number twice, when the run ended between taking the number and writing the CRL', async () => {
    // A folder where the CRL is to be prepared makes the run end just there.
    mkdirSync(offline.path('.root.crl.der.tmp'));
    await offline.refused(6, 'FILE_UNREADABLE', 'crl', ...withPass);
    expect(existsSync(offline.path('root.crl.der'))).toBe(false);
    rmdirSync(offline.path('.root.crl.der.tmp'));
    expect(await offline.must('crl', ...withPass)).toMatchObject({ number: 2 });
  });

  it('never gives a CRL number twice, when it is killed at any moment', async () => {
    const published: number[] = [];
    for (let trial = 0; trial < 3; trial += 1) {
      await killedWhen(offline, 'root-state.json', trial, ['crl', ...withPass]);
      if (existsSync(offline.path('root.crl.der'))) {
        published.push(Number((await offline.must('inspect', 'root.crl.der')).number));
      }
      const { number } = await offline.must('crl', ...withPass);
      published.push(number);
      expect(offline.readJson('root-state.json').crlNumber).toBe(number);
      for (const file of ['root.crl', 'root.crl.der']) {
        expect(await offline.must('inspect', file)).toMatchObject({ number: String(number) });
      }
    }
    // What was there after a kill is the new number or the old one; what is signed afterwards is always higher.
    const sorted = [...published].sort((a, b) => a - b);
    expect(published).toEqual(sorted);
    expect(published.at(-1)).toBeGreaterThanOrEqual(6);
  });

  it('delivers the certificate that was signed and not written, to the same request given again', async () => {
    makeCsr(offline, 'issuing');
    const request = [...['sign-intermediate', ...withPass], '--csr', 'issuing.csr'];
    mkdirSync(offline.path('.issuing.crt.tmp'));
    await offline.refused(6, 'FILE_UNREADABLE', ...request, '--out', 'issuing.crt');
    rmdirSync(offline.path('.issuing.crt.tmp'));
    const { interrupted } = await offline.must('inspect');
    expect(interrupted).toMatchObject({ out: 'issuing.crt' });

    const made = await offline.must(...request, '--out', 'issuing.crt');
    expect(made).toMatchObject({ serial: interrupted.serial, certificate: 'issuing.crt' });
    expect(await offline.must('inspect', 'issuing.crt')).toMatchObject({ signedByThisRoot: true });
    expect(offline.readJson('root-state.json').intermediates).toHaveLength(1);
    expect(await offline.must('inspect')).toMatchObject({ interrupted: null });
  });

  it('delivers it to another place when the request names one this time', async () => {
    makeCsr(offline, 'issuing');
    const request = [...['sign-intermediate', ...withPass], '--csr', 'issuing.csr'];
    mkdirSync(offline.path('.first.crt.tmp'));
    await offline.refused(6, 'FILE_UNREADABLE', ...request, '--out', 'first.crt');
    rmdirSync(offline.path('.first.crt.tmp'));
    expect(await offline.must(...request, '--out', 'second.crt')).toMatchObject({
      certificate: 'second.crt',
    });
    expect(offline.read('second.crt')).toBe(offline.read('first.crt'));
  });

  it('is finished by any other command too, which says so', async () => {
    makeCsr(offline, 'issuing');
    mkdirSync(offline.path('.issuing.crt.tmp'));
    await offline.refused(
      ...([6, 'FILE_UNREADABLE', 'sign-intermediate', ...withPass] as const),
      ...['--csr', 'issuing.csr', '--out', 'issuing.crt'],
    );
    rmdirSync(offline.path('.issuing.crt.tmp'));
    const ran = await offline.run('crl', ...withPass);
    expect(ran.err).toContain('issuing.crt is written now');
    expect(existsSync(offline.path('issuing.crt'))).toBe(true);
    // Afterwards the request is an ordinary one again: its key is in use.
    await offline.refused(
      ...([3, 'CSR_KEY_IN_USE', 'sign-intermediate', ...withPass, '--csr', 'issuing.csr'] as const),
    );
  });

  it('signs one certificate per request, when it is killed at any moment', async () => {
    for (let trial = 0; trial < 3; trial += 1) {
      const name = `issuing-${trial}`;
      makeCsr(offline, name, { cn: name });
      const request = [
        ...['sign-intermediate', ...withPass],
        ...['--csr', `${name}.csr`, '--out', `${name}.crt`],
      ];
      await killedWhen(offline, 'root-state.json', trial, request);
      const before = offline.readJson('root-state.json').intermediates;
      const wasWritten = existsSync(offline.path(`${name}.crt`));
      const ran = await offline.run(...request);
      // Either it is done now, or it had been all done and the file is not overwritten.
      expect({ code: ran.code, err: ran.err }).toMatchObject({
        code: wasWritten ? expect.toBeOneOf([0, 3]) : 0,
      });
      const { intermediates } = offline.readJson('root-state.json');
      expect(intermediates).toHaveLength(trial + 1);
      // What had been signed before the kill is what is delivered after it.
      expect(intermediates.slice(0, before.length)).toEqual(before);
      expect(offline.read(`${name}.crt`)).toBe(intermediates[trial].certificate);
    }
  });

  it('writes a certificate under issued/ again when it is gone', async () => {
    makeCsr(offline, 'issuing');
    const { serial } = await offline.must(
      ...['sign-intermediate', ...withPass, '--csr', 'issuing.csr', '--out', 'issuing.crt'],
    );
    rmSync(offline.path('issued'), { recursive: true });
    await offline.must('crl', ...withPass);
    expect(offline.read('issued', `${serial}.crt`)).toBe(offline.read('issuing.crt'));
  });

  it('leaves a lock that the next run takes over; one of a living process is respected', async () => {
    offline.write('root.lock', '4194303\n');
    await offline.must('crl', ...withPass);
    offline.write('root.lock', `${process.pid}\n`);
    expect(await offline.refused(3, 'STORE_CONFLICT', 'crl', ...withPass)).toContain(
      String(process.pid),
    );
    // Looking is always allowed.
    await offline.must('inspect');
    rmSync(offline.path('root.lock'));
  });

  it('lets one of two runs at once go first, and never both', async () => {
    const ran = await Promise.all([1, 2, 3].map(() => offline.run('crl', ...withPass, '--json')));
    const numbers = ran.filter(({ code }) => code === 0).map(({ out }) => JSON.parse(out).number);
    expect(new Set(numbers).size).toBe(numbers.length);
    expect(numbers.length).toBeGreaterThan(0);
    for (const { code } of ran) expect([0, 3]).toContain(code);
    expect(offline.readJson('root-state.json').crlNumber).toBe(Math.max(...numbers));
  });
});

/** Runs the command and kills it `delay` milliseconds after the file changed. */
async function killedWhen(
  offline: OfflineRoot,
  file: string,
  delay: number,
  args: readonly string[],
): Promise<void> {
  // The launcher replaces itself by Node, so this is the process that signs.
  const child = spawn(launcher, [...args, '--dir', offline.folder], { stdio: 'ignore' });
  const watcher = watch(offline.folder, (_event, name) => {
    if (name === file) setTimeout(() => child.kill('SIGKILL'), delay);
  });
  await new Promise((done) => child.on('close', done));
  watcher.close();
  expect(existsSync(join(offline.folder, file))).toBe(true);
}
