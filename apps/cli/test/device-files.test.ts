import { existsSync, renameSync, statSync } from 'node:fs';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeylineError } from '@keyline/kernel';
import { enrolled } from '../../../libs/client/test/support/documents.ts';
import {
  startFakeService,
  WithStatus,
  type Call,
  type FakeService,
} from '../../../libs/client/test/support/fake-service.ts';
import { openWorkshop, type Workshop } from './support/workshop.ts';

let workshop: Workshop;
let service: FakeService;

beforeEach(async () => {
  workshop = openWorkshop();
  service = await startFakeService(workshop);
  workshop.write('token.txt', 'enroll-secret\n');
  service.answers.enroll = answer;
  service.answers.renew = answer;
});
afterEach(async () => {
  await service.close();
  workshop.remove();
});

/** Signs what came: for a renewal without a CSR the key stays, which a CSR of the file's key stands for. */
function answer({ body }: Call): unknown {
  const { csr } = body as { csr?: string };
  return enrolled('d1', csr === undefined ? sameKeyAgain() : workshop.sign(csr));
}

let lastCsr = '';
function sameKeyAgain(): string {
  return workshop.sign(lastCsr);
}

function enroll(...more: string[]): ReturnType<Workshop['run']> {
  return workshop.run(
    ...['device', 'enroll', '--id', 'd1', '--out', 'd1', ...service.options],
    ...(more.length === 0 ? ['--token-file', 'token.txt'] : more),
  );
}

function renew(...more: string[]): ReturnType<Workshop['run']> {
  return workshop.run('device', 'renew', '--id', 'd1', '--dir', 'd1', ...service.options, ...more);
}

/** Whether key and certificate in the folder are a pair. */
function isPair(key = 'd1.key'): boolean {
  const certificate = new X509Certificate(workshop.read('d1', 'd1.crt'));
  return certificate.checkPrivateKey(createPrivateKey(workshop.read('d1', key)));
}

describe('keyline device enroll', () => {
  it('writes key (0600), certificate, trust anchors and broker.json, and sends no key', async () => {
    const { code, out } = await enroll();
    expect(code).toBe(0);
    expect(out).toContain('may publish to    devices/d1/telemetry');
    expect(statSync(workshop.path('d1', 'd1.key')).mode & 0o777).toBe(0o600);
    expect(isPair()).toBe(true);
    expect(workshop.read('d1', 'ca.pem')).toBe(workshop.caPem);
    expect(JSON.parse(workshop.read('d1', 'broker.json'))).toEqual({
      ...{ broker: 'broker', host: '127.0.0.1', port: 8883, tls: true, userName: 'd1' },
      addresses: {
        api: service.url,
        renew: `${service.url}/v1/renew`,
        crl: [],
        ocsp: [],
      },
      url: 'mqtts://127.0.0.1:8883',
      clientId: 'd1',
      topics: { publish: ['devices/d1/telemetry'], subscribe: ['devices/d1/commands'] },
      certificate: 'd1.crt',
      key: 'd1.key',
      ca: 'ca.pem',
    });
    const { body } = service.calls[0]?.call ?? { body: undefined };
    expect(body).toMatchObject({ id: 'd1', token: 'enroll-secret' });
    expect(JSON.stringify(body)).not.toContain('PRIVATE KEY');
  });

  it('reads the token from stdin', async () => {
    const { code } = await workshop.runWith(
      { stdin: 'from-stdin\n' },
      ...['device', 'enroll', '--id', 'd1', '--out', 'd1', '--token', '-', ...service.options],
    );
    expect(code).toBe(0);
    expect(service.calls[0]?.call.body).toMatchObject({ token: 'from-stdin' });
  });

  it('says that there is no such file where a file stands for its folder', async () => {
    const { code, err } = await enroll('--token-file', 'test-ca.pem/token.txt');
    expect([code, err]).toEqual([6, expect.stringContaining('[FILE_NOT_FOUND]')]);
  });

  it('refuses a token on the command line, where everybody sees it', async () => {
    expect(await enroll('--token', 'secret')).toMatchObject({ code: 2 });
    expect(service.calls).toEqual([]);
  });

  it('sends the same key again after a lost answer', async () => {
    service.answers.enroll = () => {
      throw new KeylineError('INTERNAL', 'the answer is lost');
    };
    expect(await enroll()).toMatchObject({ code: 1 });
    const key = workshop.read('d1', 'd1.key');
    service.answers.enroll = (call) => new WithStatus(200, answer(call));
    const { code, out } = await enroll();
    expect(code).toBe(0);
    expect(out).toContain('enrolled before');
    expect(workshop.read('d1', 'd1.key')).toBe(key);
    expect(isPair()).toBe(true);
  });

  it('exits 6 rather than touch a device that is enrolled from here already', async () => {
    await enroll();
    const key = workshop.read('d1', 'd1.key');
    expect(await enroll()).toMatchObject({ code: 6 });
    expect(workshop.read('d1', 'd1.key')).toBe(key);
  });

  it.each(['../d1', '.d1', 'a/b'])('does not let the id %s lead out of the folder', async (id) => {
    const { code } = await workshop.run(
      ...['device', 'enroll', '--id', id, '--out', 'd1', '--token-file', 'token.txt'],
      ...service.options,
    );
    expect(code).toBe(2);
    expect(service.calls).toEqual([]);
  });
});

describe('keyline device renew', () => {
  beforeEach(async () => {
    await enroll();
    lastCsr = (service.calls[0]?.call.body as { csr: string }).csr;
  });

  it('keeps the key without --new-key', async () => {
    const [key, certificate] = [workshop.read('d1', 'd1.key'), workshop.read('d1', 'd1.crt')];
    expect(await renew()).toMatchObject({ code: 0 });
    const [, renewal, ...after] = service.calls;
    expect(renewal).toMatchObject({ name: 'renew', call: { body: {} } });
    // The new certificate is shown at once, so that the old one can't replace it any more.
    expect(after.map(({ name }) => name)).toEqual(['getDevice']);
    expect(workshop.read('d1', 'd1.key')).toBe(key);
    expect(workshop.read('d1', 'd1.crt')).not.toBe(certificate);
    expect(isPair()).toBe(true);
  });

  it('swaps key and certificate together with --new-key, leaving nothing beside', async () => {
    const key = workshop.read('d1', 'd1.key');
    expect(await renew('--new-key')).toMatchObject({ code: 0 });
    expect(workshop.read('d1', 'd1.key')).not.toBe(key);
    expect(statSync(workshop.path('d1', 'd1.key')).mode & 0o777).toBe(0o600);
    expect(isPair()).toBe(true);
    expect(existsSync(workshop.path('d1', 'd1.key.new'))).toBe(false);
    expect(existsSync(workshop.path('d1', 'd1.crt.new'))).toBe(false);
  });

  it('keeps the old pair in force when the service refuses', async () => {
    const key = workshop.read('d1', 'd1.key');
    service.answers.renew = () => {
      throw new KeylineError('RATE_LIMITED', 'Too many.');
    };
    expect(await renew('--new-key')).toMatchObject({ code: 3 });
    expect(workshop.read('d1', 'd1.key')).toBe(key);
    expect(isPair()).toBe(true);
  });

  it('uses the key of a renewal whose answer was lost again', async () => {
    service.answers.renew = () => {
      throw new KeylineError('INTERNAL', 'the answer is lost');
    };
    await renew('--new-key');
    const newKey = workshop.read('d1', 'd1.key.new');
    service.answers.renew = answer;
    await renew('--new-key');
    expect(workshop.read('d1', 'd1.key')).toBe(newKey);
    expect(isPair()).toBe(true);
  });

  it.each([
    ['before any rename', (): void => undefined],
    [
      'between the two renames',
      (): void => {
        renameSync(workshop.path('d1', 'd1.key.new'), workshop.path('d1', 'd1.key'));
      },
    ],
  ])('finishes a swap that was interrupted %s', async (_, interrupt) => {
    // The state as a crash leaves it: the next pair beside the present one.
    const csr = await workshop.createCsr('d1');
    workshop.write('d1/d1.key.new', workshop.read('made.key'));
    workshop.write('d1/d1.crt.new', workshop.sign(csr));
    interrupt();
    const presented: string[] = [];
    service.answers.renew = ({ request }) => {
      const socket = request.socket as unknown as {
        getPeerCertificate(): { serialNumber: string };
      };
      presented.push(socket.getPeerCertificate().serialNumber);
      return enrolled('d1', workshop.sign(csr));
    };
    const { code, err } = await renew();
    expect(code).toBe(0);
    expect(err).toContain('interrupted');
    expect(presented).toEqual(['02']);
    expect(isPair()).toBe(true);
    expect(existsSync(workshop.path('d1', 'd1.key.new'))).toBe(false);
  });
});
