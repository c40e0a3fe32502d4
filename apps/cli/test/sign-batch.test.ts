import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { IncomingMessage } from 'node:http';
import { X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  startFakeService,
  type FakeService,
} from '../../../libs/client/test/support/fake-service.ts';
import { openWorkshop, type Workshop } from './support/workshop.ts';

let workshop: Workshop;
let service: FakeService;
let received: string[];
let signedBefore: Map<string, string>;

beforeEach(async () => {
  workshop = openWorkshop();
  service = await startFakeService(workshop);
  received = [];
  signedBefore = new Map();
  workshop.write('station.token', 'station-secret\n');
  mkdirSync(workshop.path('csrs'));
  for (const id of ['u1', 'u2', 'u3', 'u4'])
    workshop.write(`csrs/${id}.csr`, await workshop.createCsr(id));
  service.answers.listAuthorities = () => ({
    items: [
      {
        id: 'issuing-1',
        role: 'issuing',
        subject: 'CN=Test Authority',
        serial: '01',
        notBefore: '2026-01-01T00:00:00Z',
        notAfter: '2099-01-01T00:00:00Z',
        certificate: workshop.caPem,
        crl: null,
      },
    ],
    nextCursor: null,
  });
  serveSigning();
});
afterEach(async () => {
  await service.close();
  workshop.remove();
});

/** Signs line by line; ends the connection after `breakAfter` answers, once; refuses the ids named. */
function serveSigning(given: { breakAfter?: number; refuse?: string[] } = {}): void {
  let toBreak = given.breakAfter;
  service.raw.set('/v1/batches/wo-1/sign', (request: IncomingMessage, response) => {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    let answered = 0;
    let isBreaking = false;
    const lines = createInterface({ input: request });
    // The broken connection is what the test is about.
    for (const source of [request, response, lines]) source.on('error', () => undefined);
    lines.on('line', (line) => {
      if (isBreaking) return;
      const { id, csr } = JSON.parse(line) as { id: string; csr: string };
      received.push(id);
      const before = signedBefore.get(id);
      const certificate = before ?? workshop.sign(csr);
      const refused = given.refuse?.includes(id) === true;
      if (!refused) signedBefore.set(id, certificate);
      response.write(
        `${JSON.stringify(
          refused
            ? {
                id,
                status: 409,
                error: { code: 'BATCH_QUOTA_EXHAUSTED', detail: 'The quota of wo-1 is used up.' },
              }
            : {
                id,
                status: before === undefined ? 201 : 200,
                serial: '01',
                notAfter: '',
                certificate,
              },
        )}\n`,
      );
      answered += 1;
      if (answered === toBreak) {
        toBreak = undefined;
        isBreaking = true;
        // Only once what was answered has arrived: a reset would take away what is still on its way.
        const arrived = answered;
        const look = setInterval(() => {
          const names = existsSync(workshop.path('certs'))
            ? readdirSync(workshop.path('certs'))
            : [];
          if (names.filter((name) => name.endsWith('.crt')).length < arrived) return;
          clearInterval(look);
          response.destroy();
        }, 5);
        response.on('close', () => {
          clearInterval(look);
        });
      }
    });
    lines.on('close', () => {
      if (!isBreaking) response.end();
    });
  });
}

function sign(...more: string[]): ReturnType<Workshop['run']> {
  return workshop.run(
    ...['batch', 'sign', 'wo-1', '--csr-dir', 'csrs', '--out', 'certs', ...service.options],
    ...['--token-file', 'station.token', ...more],
  );
}

describe('keyline batch sign', () => {
  it('writes leaf and chain of each unit, and the trust anchors once', async () => {
    const { code, out, err } = await sign();
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toContain('4 signed, 0 the same as before, 0 refused');
    expect(readdirSync(workshop.path('certs')).sort()).toEqual([
      'ca.pem',
      'u1.crt',
      'u2.crt',
      'u3.crt',
      'u4.crt',
    ]);
    expect(new X509Certificate(workshop.read('certs', 'u3.crt')).subject).toBe('CN=u3');
    expect(workshop.read('certs', 'u3.crt').match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  });

  it('may be called again: the same certificates, nothing new', async () => {
    await sign();
    const before = workshop.read('certs', 'u1.crt');
    const { code, out } = await sign('--json');
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ signed: 0, same: 4, refused: [] });
    expect(workshop.read('certs', 'u1.crt')).toBe(before);
  });

  it('exits 3 and says which units were refused and why, keeping the others', async () => {
    serveSigning({ refuse: ['u2', 'u4'] });
    const { code, out, err } = await sign();
    expect(code).toBe(3);
    expect(out).toContain('2 signed, 0 the same as before, 2 refused');
    expect(err).toBe(
      'refused u2.csr: The quota of wo-1 is used up. [BATCH_QUOTA_EXHAUSTED]\nrefused u4.csr: The quota of wo-1 is used up. [BATCH_QUOTA_EXHAUSTED]\n',
    );
    expect(existsSync(workshop.path('certs', 'u2.crt'))).toBe(false);
  });

  it('sends what has no answer again when the connection breaks', async () => {
    serveSigning({ breakAfter: 2 });
    const { code, out, err } = await sign();
    expect(code).toBe(0);
    expect(err).toMatch(/units to send again: 2\./);
    expect(out).toMatch(/Batch wo-1: \d signed, \d the same as before, 0 refused/);
    expect(readdirSync(workshop.path('certs'))).toHaveLength(5);
    // Nothing that was answered is asked again.
    expect(received.filter((id) => id === 'u1')).toHaveLength(1);
  });

  it('reads DER as well as PEM, and counts a file that is too large as refused', async () => {
    const pem = workshop.read('csrs', 'u1.csr');
    const der = Buffer.from(pem.replace(/-----[^-]+-----/g, ''), 'base64');
    writeFileSync(workshop.path('csrs', 'u1.csr'), der);
    workshop.write('csrs/u5.csr', 'x'.repeat(100_000));
    const { code, out } = await sign('--json');
    expect(code).toBe(3);
    expect(JSON.parse(out)).toMatchObject({
      signed: 4,
      refused: [{ id: 'u5', code: 'FILE_UNREADABLE' }],
    });
  });

  it('ends with the code of the service when the whole batch is refused', async () => {
    service.raw.set('/v1/batches/wo-1/sign', (request, response) => {
      request.resume();
      response.writeHead(404, { 'content-type': 'application/problem+json' });
      response.end(
        JSON.stringify({ code: 'BATCH_NOT_FOUND', detail: 'There is no batch "wo-1".' }),
      );
    });
    expect(await sign()).toMatchObject({
      code: 4,
      err: 'keyline: There is no batch "wo-1". [BATCH_NOT_FOUND]\n',
    });
  });

  it('takes CSRs by any name that tools give them, in any case', async () => {
    const names = ['A1.CSR', 'a2.Pem', 'a3.req', 'a4.p10', 'a5.DER', 'a.6.csr'];
    for (const name of names) {
      workshop.write(`csrs/${name}`, await workshop.createCsr(name.slice(0, -4)));
    }
    const { code, out } = await sign('--json');
    expect({ code, ...JSON.parse(out) }).toMatchObject({ code: 0, signed: 10, refused: [] });
    const units = ['A1', 'a2', 'a3', 'a4', 'a5', 'a.6', 'u1', 'u2', 'u3', 'u4'];
    expect(received.toSorted()).toEqual(units.toSorted());
    expect(existsSync(workshop.path('certs', 'A1.crt'))).toBe(true);
  });

  it('names every file that it does not take, with the reason, and exits 3', async () => {
    const csr = workshop.read('csrs', 'u1.csr');
    mkdirSync(workshop.path('csrs', 'folder.csr'));
    symlinkSync(workshop.path('csrs', 'u1.csr'), workshop.path('csrs', 'link.csr'));
    workshop.write('csrs/empty.csr', '');
    workshop.write('csrs/huge.pem', 'x'.repeat(100_000));
    workshop.write('csrs/notes.txt', 'hello');
    workshop.write('csrs/noending', csr);
    workshop.write('csrs/.DS_Store', 'x');
    workshop.write('csrs/cert.pem', workshop.caPem);
    workshop.write('csrs/key.pem', workshop.caKeyPem);
    workshop.write('csrs/two.pem', csr + csr);
    workshop.write('csrs/u4.PEM', csr);
    workshop.write('csrs/\u001b[2J.csr.bak', csr);
    const { code, out, err } = await sign();
    expect(code).toBe(3);
    expect(out).toContain('3 signed, 0 the same as before, 12 refused');
    for (const [file, why] of [
      ['folder.csr', 'It is a folder'],
      ['link.csr', 'It is a symbolic link'],
      ['empty.csr', 'It is empty'],
      ['huge.pem', 'is larger than 16000 bytes'],
      ['notes.txt', 'Its name does not say that it is a CSR'],
      ['noending', 'Its name does not say that it is a CSR'],
      ['cert.pem', 'It holds no CSR but: CERTIFICATE'],
      ['key.pem', 'It holds a private key'],
      ['two.pem', 'It holds several CSRs'],
      ['u4.csr', 'u4.PEM and u4.csr are all of the unit "u4"'],
      ['u4.PEM', 'u4.PEM and u4.csr are all of the unit "u4"'],
      [String.raw`\u001b[2J.csr.bak`, 'Its name does not say'],
    ]) {
      const line = err.split('\n').find((each) => each.startsWith(`refused ${file!}: `));
      expect(line, file).toContain(why);
    }
    expect(err).toContain('not looked at .DS_Store: It is hidden.\n');
    expect(received.toSorted()).toEqual(['u1', 'u2', 'u3']);
  });

  it('exits 6 when the folder has no CSR', async () => {
    mkdirSync(workshop.path('empty'));
    const { code } = await workshop.run(
      ...['batch', 'sign', 'wo-1', '--csr-dir', 'empty', '--out', 'certs', ...service.options],
      ...['--token-file', 'station.token'],
    );
    expect(code).toBe(6);
  });
});
