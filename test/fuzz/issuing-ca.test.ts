// CSRs, OCSP requests, and the REST API by its own OpenAPI and against it, at a running Keyline.
import { createPrivateKey, sign, X509Certificate } from 'node:crypto';
import { writeFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDeviceKey, type DeviceKey } from '../support/device-key.ts';
import type { EnrolledDevice } from '../support/fleet.ts';
import { has } from '../support/needs.ts';
import { openssl } from '../support/openssl.ts';
import type { Answer, RestClient } from '../support/rest-client.ts';
import { useKeyline } from '../support/use-keyline.ts';
import { sumMetric } from './support/broker-process.ts';
import { bendTree, element, readTree, writeTree } from './support/der-tree.ts';
import { Dice } from './support/dice.ts';
import { fuzz, fuzzTimeout, isLongRun } from './support/fuzz.ts';
import { spoil, valueFor, type JsonSchema } from './support/json-values.ts';
import { mutateBytes } from './support/mutate-bytes.ts';
import { Vitals } from './support/vitals.ts';

const rounds = 25;
const callsAtOnce = 6;

const suite = useKeyline();
let token: string;
let csrDer: Buffer;
let device: EnrolledDevice;
let vitals: Vitals;

const pidOf = (): number => suite.keyline.endpoints.pids.ca;

beforeAll(async () => {
  const { fleet } = suite;
  token = await fleet.createToken({ maxUses: 1_000_000, expiresIn: 'P1D' });
  csrDer = derOf(await createDeviceKey().csr('bent'));
  device = await fleet.enroll('witness', { token });
  vitals = new Vitals(
    {
      name: 'the issuing CA',
      pid: pidOf,
      death: () => (isRunning(pidOf()) ? undefined : suite.keyline.logs()),
      serve: async () => {
        expect((await fleet.admin.get('/v1/devices?limit=1')).status).toBe(200);
      },
      errors: innerFaults,
      metrics: async () => {
        const { text } = await fleet.admin.get('/metrics');
        return (name) => sumMetric(text, name);
      },
    },
    isLongRun,
  );
});

afterAll(() => {
  vitals.close();
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function derOf(pem: string): Buffer {
  return Buffer.from(pem.replaceAll(/-----[^-]+-----|\s/g, ''), 'base64');
}

const pemOf = (label: string, der: Buffer): string =>
  `-----BEGIN ${label}-----\n${der.toString('base64').replaceAll(/.{64}/g, '$&\n')}\n-----END ${label}-----\n`;

/** Lines of the service's log that say that something went wrong inside. */
const innerFaults = (): string[] =>
  readFileSync(join(suite.keyline.data, 'logs', 'keyline-ca.log'), 'utf8')
    .split('\n')
    .filter((line) => /"level":"(error|fatal)"/.test(line));

/** An answer, whatever was asked: what it refuses is a problem document that says why, and nothing is the service's own fault. */
function expectAnswer(what: string, answer: Answer): void {
  if (answer.status < 400) return;
  const { status, headers, body, text } = answer;
  const described = `${what}: ${status} ${text.slice(0, 300)}`;
  expect([500, 501, 502, 504], described).not.toContain(status);
  expect(headers['content-type'], described).toMatch(/^application\/problem\+json/);
  expect(body, described).toMatchObject({ status, code: expect.any(String) as string });
}

const target = async (name: string, run: (dice: Dice) => Promise<void>): Promise<void> => {
  await vitals.look();
  await fuzz('issuing-ca', rounds, async (dice, round) => {
    const seeds = Array.from({ length: callsAtOnce }, () => dice.seed());
    await Promise.all(seeds.map((seed) => run(new Dice(seed))));
    vitals.assertLife();
    if (round % 5 === 0) await vitals.look();
  });
  await vitals.look();
  console.log(`${name}: ${vitals.report()}`);
};

describe('The issuing CA', () => {
  it(
    'answers every CSR, and signs none that is bent behind its back',
    { timeout: fuzzTimeout },
    async () => {
      const { anyone, admin } = suite.fleet;
      let asked = 0;
      let signed = 0;
      await target('CSRs', async (dice) => {
        // A key of its own each time: the same one under another id is refused for that alone.
        const key = createDeviceKey();
        const good = derOf(await key.csr('bent'));
        const csr = dice.happens(0.8)
          ? bentCsr(good, key, dice)
          : mutateBytes(good, dice, [csrDer]);
        const pem = pemOf('CERTIFICATE REQUEST', csr);
        if (dice.happens(0.3)) {
          const request = {
            profile: dice.pick(['service-client', 'station', 'operator']),
            name: 'bent',
            csr: pem,
          };
          expectAnswer('POST /v1/certificates', await admin.post('/v1/certificates', request));
          return;
        }
        asked += 1;
        const id = `bent-${dice.below(1_000_000)}`;
        const answer = await anyone.post('/v1/enroll', { id, csr: pem, token });
        expectAnswer('POST /v1/enroll', answer);
        // Whatever stood in the CSR, the certificate says what was asked for, over the key that proved itself.
        if (answer.status !== 201) return;
        const issued = new X509Certificate(answer.body.certificate);
        expect(answer.body.device.id).toBe(id);
        expect(issued.subject.split('\n')).toContain(`CN=${id}`);
        expect(issued.checkPrivateKey(createPrivateKey(key.keyPem))).toBe(true);
        expect(issued.ca).toBe(false);
        signed += 1;
      });
      console.log(
        `fuzz issuing-ca: ${signed} of ${asked} bent CSRs had nothing in them that counts`,
      );
      // Were all refused for their form, nothing behind it would have been tried.
      if (asked > 100) expect(signed).toBeGreaterThan(0);
    },
  );

  /** Bent, and signed by its own key, so that the proof of possession holds. */
  function bentCsr(der: Buffer, key: DeviceKey, dice: Dice): Buffer {
    const csr = readTree(der);
    const [info, algorithm] = 'children' in csr ? csr.children : [];
    if (info === undefined || !('children' in info) || algorithm === undefined) {
      throw new Error('a CSR is a SEQUENCE of three');
    }
    const ownKey = dice.happens(0.7) ? info.children[2] : undefined;
    bendTree(info, dice, (node) => node === ownKey);
    const infoDer = writeTree(info);
    const signature = sign('sha256', infoDer, createPrivateKey(key.keyPem));
    const bits = element(0x03, Buffer.concat([Buffer.of(0), signature]));
    return element(0x30, Buffer.concat([infoDer, writeTree(algorithm), bits]));
  }

  it.skipIf(!has('openssl'))('answers every OCSP request', { timeout: fuzzTimeout }, async () => {
    const place = (name: string): string => join(suite.folder, name);
    writeFileSync(place('issuer.pem'), device.issuer);
    writeFileSync(place('leaf.pem'), device.leaf);
    const files = ['-issuer', place('issuer.pem'), '-cert', place('leaf.pem')];
    await openssl(['ocsp', ...files, '-nonce', '-reqout', place('nonce.der')]);
    await openssl(['ocsp', ...files, ...files.slice(2), '-no_nonce', '-reqout', place('two.der')]);
    const good = [readFileSync(place('nonce.der')), readFileSync(place('two.der'))];
    const url = `${suite.keyline.endpoints.http}/ocsp`;
    await target('OCSP', async (dice) => {
      const base = dice.pick(good);
      const request = dice.happens(0.7) ? bentTree(base, dice) : mutateBytes(base, dice, good);
      const response = await (dice.happens(0.7)
        ? fetch(url, {
            method: 'POST',
            headers: { 'content-type': 'application/ocsp-request' },
            body: new Uint8Array(request),
          })
        : fetch(`${url}/${encodeURIComponent(request.toString('base64')).slice(0, 6000)}`));
      const answer = Buffer.from(await response.arrayBuffer());
      expect(response.status, answer.toString('latin1').slice(0, 300)).toBeLessThan(500);
      if (response.status === 200) {
        // OCSPResponse ::= SEQUENCE { responseStatus ENUMERATED, … }
        const tree = readTree(answer);
        expect('children' in tree && tree.children[0]?.tag).toBe(0x0a);
      }
    });
  });

  const bentTree = (der: Buffer, dice: Dice): Buffer => {
    const tree = readTree(der);
    if ('children' in tree) bendTree(tree, dice, () => false);
    return writeTree(tree);
  };

  it(
    'answers every call that its OpenAPI allows, and every one that it does not',
    { timeout: fuzzTimeout },
    async () => {
      const { anyone, admin } = suite.fleet;
      const operations = await listOperations(anyone);
      expect(operations.length).toBeGreaterThan(20);
      for (const id of ['dev-1', 'dev-2']) await suite.fleet.enroll(id, { token });
      const batch = await admin.post('/v1/batches', { id: 'fuzzed', quota: 1000 });
      const words = ['dev-1', 'dev-2', 'fuzzed', token, pemOf('CERTIFICATE REQUEST', csrDer)];
      expect(batch.status).toBe(201);
      const callers: [string, RestClient][] = [
        ['admin', admin],
        ['admin', admin],
        ['anyone', anyone],
        ['device', suite.keyline.as(device)],
      ];
      await target('REST', async (dice) => {
        const operation = dice.pick(operations);
        const [who, client] = dice.pick(callers);
        const call = drawCall(operation, dice, words);
        const what = `${who} ${call.method} ${call.path} ${String(call.body).slice(0, 200)}`;
        const answer = await client.send(call.method, call.path, call);
        expectAnswer(what, answer);
        if (answer.status < 300 && call.method === operation.method) {
          // 2XX is what the document says of a repeated call that has done its work before.
          const isDocumented = operation.statuses.some(
            (status) => status === String(answer.status) || status === '2XX',
          );
          expect(isDocumented, `${what}: ${answer.status}`).toBe(true);
        }
      });
      const same = await suite.fleet.enroll('after', { token });
      expect(same.id).toBe('after');
    },
  );
});

interface Operation {
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, JsonSchema>>;
  readonly params: Readonly<Record<string, JsonSchema>>;
  readonly body: JsonSchema | undefined;
  readonly types: readonly string[];
  readonly statuses: readonly string[];
}

async function listOperations(client: RestClient): Promise<Operation[]> {
  const { body: document } = await client.get('/openapi.json');
  const paths = document.paths as Record<string, Record<string, any>>; // eslint-disable-line @typescript-eslint/no-explicit-any -- a document of the service
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): Operation => {
      const parameters = (operation.parameters ?? []) as {
        in: string;
        name: string;
        schema: JsonSchema;
      }[];
      const those = (place: string): Record<string, JsonSchema> =>
        Object.fromEntries(
          parameters.filter((one) => one.in === place).map((one) => [one.name, one.schema]),
        );
      const content = operation.requestBody?.content ?? {};
      return {
        method: method.toUpperCase(),
        path,
        query: those('query'),
        params: those('path'),
        body: content['application/json']?.schema,
        types: Object.keys(content),
        statuses: Object.keys(operation.responses ?? {}),
      };
    }),
  );
}

interface DrawnCall {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body?: string | Buffer;
}

const otherTypes = [
  'text/plain',
  'application/x-ndjson',
  'application/pkcs10',
  'multipart/form-data',
  'application/json; charset=utf-7',
  'x',
];

function drawCall(operation: Operation, dice: Dice, words: readonly string[]): DrawnCall {
  const isWrong = dice.happens(0.6);
  const text = (schema: JsonSchema): string => {
    const right = valueFor(schema, dice, words);
    const value = isWrong && dice.happens(0.4) ? spoil(right, dice) : right;
    const written = typeof value === 'string' ? value : JSON.stringify(value);
    return encodeURIComponent(written.toWellFormed().slice(0, 4000));
  };
  let path = operation.path.replaceAll(/\{([^}]+)\}/g, (_, name: string) =>
    text(operation.params[name] ?? { type: 'string' }),
  );
  const query = Object.entries(operation.query).filter(() => dice.happens(0.5));
  if (query.length > 0)
    path += `?${query.map(([name, schema]) => `${name}=${text(schema)}`).join('&')}`;
  const headers: Record<string, string> = {};
  if (isWrong && dice.happens(0.1)) headers['idempotency-key'] = dice.bytes(9).toString('hex');
  if (isWrong && dice.happens(0.1)) headers['origin'] = 'https://elsewhere.example';
  const method =
    isWrong && dice.happens(0.05)
      ? dice.pick(['PUT', 'DELETE', 'PATCH', 'OPTIONS'])
      : operation.method;
  if (operation.body === undefined && !(isWrong && dice.happens(0.2)))
    return { method, path, headers };
  const right = valueFor(operation.body ?? { type: 'object' }, dice, words);
  const value = isWrong && dice.happens(0.7) ? spoil(right, dice) : right;
  let body: string | Buffer = JSON.stringify(value);
  if (isWrong && dice.happens(0.2)) body = mutateBytes(Buffer.from(body), dice, []);
  headers['content-type'] =
    isWrong && dice.happens(0.15)
      ? dice.pick(otherTypes)
      : dice.pick(['application/json', ...operation.types]);
  return { method, path, headers, body };
}
