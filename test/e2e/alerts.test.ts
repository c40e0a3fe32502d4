// Job 3, alert on expiry: a short certificate fires within seconds, the webhook hears of it, renewing resolves it.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { expectStatus } from '../support/answers.ts';
import { projectFolder } from '../support/keyline.ts';
import { useKeyline } from '../support/use-keyline.ts';

interface Notification {
  readonly version: string;
  readonly status: 'firing' | 'resolved';
  readonly alerts: readonly {
    readonly status: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  }[];
}

const received: Notification[] = [];
/** Requests the receiver turns away before it takes one. */
let failures = 1;
const receiver: Server = createServer((request, response) => {
  let text = '';
  request.setEncoding('utf8').on('data', (part: string) => (text += part));
  request.on('end', () => {
    if (failures > 0) {
      failures -= 1;
      response.writeHead(503).end();
      return;
    }
    received.push(JSON.parse(text) as Notification);
    response.writeHead(200).end();
  });
});

const suite = useKeyline({
  async config(folder) {
    await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
    const { port } = receiver.address() as AddressInfo;
    const config = join(folder, 'config');
    cpSync(join(projectFolder, 'ca-config'), config, { recursive: true });
    const file = join(config, 'alerts.yaml');
    const webhook = `webhooks:\n    - { name: oncall, url: 'http://127.0.0.1:${port}/hook', timeout: PT5S, attempts: 3 }`;
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('webhooks:', webhook));
    return config;
  },
});
afterAll(() => receiver.close());

async function alerts(all = false) {
  const { body } = expectStatus(await suite.fleet.admin.get(`/v1/alerts?all=${all}`), 200);
  return body.items as { key: string; count: number; examples: string[]; resolvedAt: unknown }[];
}

/** The notifications that speak of this group. */
function told(status: Notification['status'], group: string): Notification['alerts'] {
  return received
    .flatMap((notification) => notification.alerts)
    .filter((alert) => alert.status === status && JSON.stringify(alert).includes(group));
}

const wait = { timeout: 60_000, interval: 100 };

describe('certificates near their end', () => {
  it('are one alert a type, told to the webhook once it listens, and resolved when all have renewed', async () => {
    const { fleet, keyline } = suite;
    expect(await alerts()).toEqual([]);
    const token = await fleet.createToken({ type: 'sensor', maxUses: 5 });
    const devices = await Promise.all(
      Array.from({ length: 5 }, (_, n) => fleet.enroll(`old-${n}`, { token, validity: 'PT1M' })),
    );
    await expect.poll(async () => (await alerts()).map(({ count }) => count), wait).toEqual([5]);
    const [alert] = await alerts();
    expect(alert?.key).toContain('device:sensor');
    expect(alert?.examples.every((id) => id.startsWith('old-'))).toBe(true);
    await expect.poll(() => told('firing', 'sensor').length, wait).toBeGreaterThan(0);
    expect(received[0]?.version).toBe('4');

    // All but one: the alert stays, for the one.
    const [last, ...others] = devices;
    for (const device of others) {
      const self = keyline.as(device);
      expectStatus(await self.post('/v1/renew', {}), 201);
      self.close();
    }
    await expect.poll(async () => (await alerts())[0]?.examples, wait).toEqual([last?.id]);
    expect(told('resolved', 'sensor')).toEqual([]);
    const self = keyline.as(last!);
    expectStatus(await self.post('/v1/renew', {}), 201);
    self.close();
    await expect.poll(() => alerts(), wait).toEqual([]);
    await expect.poll(() => told('resolved', 'sensor').length, wait).toBeGreaterThan(0);
    expect((await alerts(true)).map(({ resolvedAt }) => typeof resolvedAt)).toContain('string');
  });

  it('of revoked devices are nobody’s concern', async () => {
    const { fleet } = suite;
    await fleet.enroll('gone-1', { validity: 'PT1M' });
    await expect.poll(async () => (await alerts()).length, wait).toBe(1);
    expectStatus(await fleet.admin.post('/v1/devices/gone-1/revoke', {}), 200);
    await expect.poll(() => alerts(), wait).toEqual([]);
  });
});
