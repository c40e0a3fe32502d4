// A webhook over TLS: whose certificate its server may have.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { isKeylineError } from '@keyline/kernel';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { loadAlertChannels, type AlertChange, type AlertChannel } from '../src/index.ts';

const run = promisify(execFile);
const log = { info: () => undefined, warn: () => undefined, error: () => undefined };

describe.skipIf(!has('openssl'))('the server of a webhook', () => {
  let folder: string;
  let server: Server;
  let ca: string;
  let posts: number;
  let status: number;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyline-webhook-'));
    await run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'],
      ...['-keyout', join(folder, 'k'), '-out', join(folder, 'ca.pem'), '-days', '2'],
      ...['-subj', '/CN=hook', '-addext', 'subjectAltName=IP:127.0.0.1'],
    ]);
    ca = await readFile(join(folder, 'ca.pem'), 'utf8');
    server = createServer(
      { cert: ca, key: await readFile(join(folder, 'k')) },
      (request, response) => {
        request.resume();
        if (request.method === 'POST') posts += 1;
        response.writeHead(status).end();
      },
    );
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    await rm(folder, { recursive: true });
  });
  beforeEach(() => {
    posts = 0;
    status = 200;
  });

  async function open(given: {
    caFile?: string;
    ownRoots?: () => string[];
  }): Promise<AlertChannel> {
    const { caFile, ownRoots } = given;
    const url = `https://127.0.0.1:${String((server.address() as AddressInfo).port)}/`;
    const webhook = { name: 'oncall', url, timeout: 5000, attempts: 1 };
    const [channel] = await loadAlertChannels(
      { log: false, webhooks: [{ ...webhook, ...(caFile === undefined ? {} : { caFile }) }] },
      { log, ownRoots },
    );
    return channel!;
  }
  const why = async (work: Promise<unknown>): Promise<string | undefined> => {
    try {
      await work;
      return undefined;
    } catch (error) {
      return isKeylineError(error) ? `${error.code} ${error.detail}` : String(error);
    }
  };
  const change: AlertChange = {
    status: 'firing',
    seq: 1,
    at: 0,
    alert: {
      key: 'k',
      severity: 'info',
      summary: 's',
      count: 1,
      examples: [],
      firstAt: 0,
      lastAt: 0,
      resolvedAt: null,
    },
  };

  it('may have a certificate of an authority in caFile', async () => {
    const channel = await open({ caFile: join(folder, 'ca.pem') });
    await channel.probe();
    expect(posts).toBe(0);
    await channel.deliver([change]);
    expect(posts).toBe(1);
  });

  it('may have a certificate of one of Keyline’s roots, which are asked for each time', async () => {
    let roots: string[] = [];
    const channel = await open({ ownRoots: () => roots });
    expect(await why(channel.deliver([change]))).toContain('TARGET_UNREACHABLE');
    roots = [ca];
    await channel.deliver([change]);
    expect(posts).toBe(1);
  });

  it('may have no other, and the message says what to give', async () => {
    const channel = await open({});
    for (const work of [channel.probe(), channel.deliver([change])]) {
      expect(await why(work)).toMatch(/TARGET_UNREACHABLE.*give its CA as caFile in alerts\.yaml/);
    }
    expect(posts).toBe(0);
  });

  it('is not believed by Keyline’s roots when there is a caFile', async () => {
    await run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'],
      ...['-keyout', join(folder, 'k2'), '-out', join(folder, 'other.pem'), '-subj', '/CN=other'],
    ]);
    const channel = await open({ caFile: join(folder, 'other.pem'), ownRoots: () => [ca] });
    expect(await why(channel.probe())).toContain('TARGET_UNREACHABLE');
  });

  it('that asks for other headers, or fails, is no channel that can deliver', async () => {
    const channel = await open({ caFile: join(folder, 'ca.pem') });
    for (const refusing of [401, 403, 500, 503]) {
      status = refusing;
      expect(await why(channel.probe())).toContain(`TARGET_REFUSED`);
    }
    // It takes POSTs only.
    status = 405;
    expect(await why(channel.probe())).toBeUndefined();
  });

  it('has a caFile with certificates in it, or the service does not start', async () => {
    await writeFile(join(folder, 'empty.pem'), 'nothing');
    await writeFile(
      join(folder, 'bad.pem'),
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    );
    for (const name of ['empty.pem', 'bad.pem']) {
      expect(await why(open({ caFile: join(folder, name) }))).toMatch(/^CONFIG_INVALID .*caFile/);
    }
    expect(await why(open({ caFile: join(folder, 'nowhere.pem') }))).toMatch(/^FILE_NOT_FOUND/);
  });
});
