import { isKeylineError } from '@keyline/kernel';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadAlertChannels, type AlertChange } from '../src/index.ts';
import { createWebhookChannel } from '../src/webhook-channel.ts';

interface Received {
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
}

let server: Server;
let url: string;
let received: Received[];
/** Status per request; `hang` never answers; 200 when used up. */
let answers: (number | 'hang')[];

beforeEach(async () => {
  received = [];
  answers = [];
  server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      received.push({
        headers: request.headers,
        body: JSON.parse(text) as Record<string, unknown>,
      });
      const answer = answers.shift() ?? 200;
      if (answer === 'hang') return;
      response.writeHead(answer, answer === 302 ? { location: 'http://127.0.0.1:1/' } : {});
      response.end('x'.repeat(100_000));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/hook/s3cret-path`;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const change: AlertChange = {
  status: 'firing',
  seq: 7,
  at: Date.UTC(2026, 0, 2),
  alert: {
    key: 'expiry:device:sensor:7d',
    severity: 'critical',
    summary: 'Soon.',
    count: 12,
    examples: ['d1', 'd2'],
    firstAt: Date.UTC(2026, 0, 1),
    lastAt: Date.UTC(2026, 0, 2),
    resolvedAt: null,
  },
};

const channel = (attempts = 1) =>
  createWebhookChannel({
    config: { name: 'oncall', url, timeout: 200, attempts },
    externalUrl: 'https://keyline.example/',
    firstPause: 5,
  });

async function errorOf(work: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await work;
  } catch (error) {
    if (isKeylineError(error)) return error;
    throw error;
  }
  throw new Error('it was delivered');
}

describe('the webhook channel', () => {
  it('speaks like an Alertmanager webhook, version 4', async () => {
    await channel().deliver([change, { ...change, status: 'resolved', at: Date.UTC(2026, 0, 3) }]);
    const labels = {
      alertname: 'KeylineExpiry',
      alert: 'expiry:device:sensor:7d',
      severity: 'critical',
      subject: 'device',
      group: 'sensor',
      threshold: '7d',
    };
    const annotations = { summary: 'Soon.', count: '12', examples: 'd1, d2' };
    const alert = {
      status: 'firing',
      labels,
      annotations,
      startsAt: '2026-01-01T00:00:00Z',
      endsAt: '0001-01-01T00:00:00Z',
      generatorURL: 'https://keyline.example/',
      fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/) as string,
    };
    const payload = {
      version: '4',
      groupKey: '{}:{alert="expiry:device:sensor:7d"}',
      truncatedAlerts: 0,
      status: 'firing',
      receiver: 'oncall',
      groupLabels: { alert: 'expiry:device:sensor:7d' },
      commonLabels: labels,
      commonAnnotations: annotations,
      externalURL: 'https://keyline.example/',
      alerts: [alert],
    };
    expect(received.map(({ body }) => body)).toEqual([
      payload,
      {
        ...payload,
        status: 'resolved',
        alerts: [{ ...alert, status: 'resolved', endsAt: '2026-01-03T00:00:00Z' }],
      },
    ]);
    expect(received[0]?.headers['content-type']).toBe('application/json');
  });

  it('tries again after a refusal and after silence', async () => {
    answers = [503, 'hang', 200];
    await channel(3).deliver([change]);
    expect(received).toHaveLength(3);
  });

  it('gives up after its attempts, and names the host but not the path', async () => {
    answers = [500, 500];
    const { code, message } = await errorOf(channel(2).deliver([change]));
    expect(code).toBe('TARGET_REFUSED');
    expect(message).toContain('127.0.0.1');
    expect(message).toContain('500');
    expect(message).not.toContain('s3cret');
    expect(received).toHaveLength(2);
  });

  it('says TARGET_UNREACHABLE when nobody listens, or nobody answers', async () => {
    answers = ['hang'];
    expect((await errorOf(channel().deliver([change]))).code).toBe('TARGET_UNREACHABLE');
    const nobody = createWebhookChannel({
      config: { name: 'a', url: 'http://127.0.0.1:1/', timeout: 1000, attempts: 1 },
    });
    const { code, message } = await errorOf(nobody.deliver([change]));
    expect(code).toBe('TARGET_UNREACHABLE');
    expect(message).toContain('127.0.0.1:1');
  });

  it('does not follow a redirect, which would carry its headers to somebody else', async () => {
    answers = [302];
    expect((await errorOf(channel().deliver([change]))).message).toContain('302');
  });
});

describe('the headers file', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'keyline-alerts-'));
  });
  afterEach(async () => {
    await rm(dir, { recursive: true });
  });

  const log = { info: () => undefined, warn: () => undefined, error: () => undefined };
  const load = (file: string) =>
    loadAlertChannels(
      {
        log: true,
        webhooks: [
          { name: 'oncall', url, headersFile: join(dir, file), timeout: 500, attempts: 1 },
        ],
      },
      { log },
    );

  it('brings secrets into the request and nowhere else', async () => {
    await writeFile(
      join(dir, 'h'),
      '# for oncall\n\nAuthorization: Bearer t0ken\r\nX-Team: iot\n',
      {
        mode: 0o600,
      },
    );
    const channels = await load('h');
    expect(channels.map(({ name }) => name)).toEqual(['log', 'oncall']);
    await channels[1]?.deliver([change]);
    expect(received[0]?.headers).toMatchObject({ authorization: 'Bearer t0ken', 'x-team': 'iot' });
  });

  it('names the line that is wrong, never what stands there', async () => {
    await writeFile(join(dir, 'h'), 'Authorization: ok\nBearer t0ken\n', { mode: 0o600 });
    const { code, message } = await errorOf(load('h'));
    expect(code).toBe('CONFIG_INVALID');
    expect(message).toContain('h:2');
    expect(message).not.toContain('t0ken');
  });

  it('that others may read is refused, with the chmod to run', async () => {
    await writeFile(join(dir, 'h'), 'Authorization: Bearer t0ken\n', { mode: 0o640 });
    const { code, message } = await errorOf(load('h'));
    expect(code).toBe('FILE_UNREADABLE');
    expect(message).toMatch(/mode 640.*chmod 600 .*\/h$/);
  });

  it('with a header without a value is refused', async () => {
    await writeFile(join(dir, 'h'), 'Authorization:\n', { mode: 0o600 });
    expect((await errorOf(load('h'))).message).toContain('h:1');
  });

  it('is asked for by name when it is missing', async () => {
    expect(await errorOf(load('nowhere'))).toMatchObject({
      code: 'FILE_NOT_FOUND',
      message: expect.stringContaining('nowhere') as string,
    });
  });
});
