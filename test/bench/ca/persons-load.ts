// The load of one person, one small line, one shop floor: few requests at once, so that nothing is shared between many. Against
// `keyline up` with its broker connected; the CPU is the issuing CA's, and what it takes to push each device to the broker is in it.
import type { Bench } from '../support/bench.ts';
import { assertIssued, keepSome } from '../support/certificates.ts';
import { loadCsrs } from '../support/csrs.ts';
import { enrollAll } from '../support/devices.ts';
import {
  encodeJson,
  openConnections,
  percentile,
  runLoad,
  type Connection,
  type LoadAnswer,
} from '../support/http-load.ts';
import { eachOnce, makeDevice, whoAmI } from '../support/renewing.ts';
import { bestOf } from '../support/rounds.ts';
import { serveKeyline } from '../support/served-keyline.ts';
import { createSharedToken } from '../support/tokens.ts';

const perRound = 512;

export const enrollAtPersonsLoad: readonly Bench[] = [
  createEnrollBench(1, 0.2),
  createEnrollBench(8, 0.27),
  createEnrollBench(32, 0.32),
];
export const renewAtPersonsLoad: readonly Bench[] = [
  createRenewBench(1, 0.3),
  createRenewBench(8, 0.4),
  createRenewBench(32, 0.42),
];

function createEnrollBench(atOnce: number, atLeast: number): Bench {
  return {
    id: `enroll-${atOnce}`,
    unit: 'answers/CPU-s',
    means: `POST /v1/enroll, ${requestsAtOnce(atOnce)}, one shared token; durable, and the broker has it, before the answer.`,
    reach: { atLeast },
    async run({ quick, folder, note }) {
      const rounds = quick ? 5 : 16;
      const csrs = await loadCsrs(perRound * (rounds + 1));
      const service = await serveKeyline(folder);
      try {
        const token = await createSharedToken(service, csrs.length);
        const connections = await openConnections(atOnce, service.api);
        const kept = keepSome(csrs.length);
        const latencies = createLatencies();
        let next = 0;
        const round = async (): Promise<number> => {
          const requests = csrs
            .slice(next, (next += perRound))
            .map(({ id, pem }) => encodeJson('/v1/enroll', { id, csr: pem, token }));
          const before = service.cpuSeconds();
          const result = await runLoad({
            connections,
            requests,
            status: 201,
            onAnswer: (answer) => {
              assertProvisioned(answer);
              kept.take(answer);
            },
          });
          latencies.add(result.latencies);
          return result.answers / (service.cpuSeconds() - before);
        };
        await round();
        const { best, limit } = await bestOf(rounds, round);
        await assertIssued(service, kept.answers);
        note(latencies.describe());
        return { value: best, limit };
      } finally {
        await service.stop();
      }
    },
  };
}

function createRenewBench(atOnce: number, atLeast: number): Bench {
  return {
    id: `renew-${atOnce}`,
    unit: 'answers/CPU-s',
    means: `POST /v1/renew over mTLS by ${perRound} devices, ${requestsAtOnce(atOnce)}, each keeping its key; durable before the answer, broker connected.`,
    reach: { atLeast },
    async run({ quick, folder, note }) {
      const rounds = quick ? 5 : 16;
      const devices = await Promise.all(
        Array.from({ length: perRound }, (_, i) => makeDevice(`renewing-${i}`, 1)),
      );
      const service = await serveKeyline(folder);
      try {
        const units = devices.map(({ id, csrs }) => ({ id, pem: csrs[0]! }));
        const enrolled = await enrollAll(service, units);
        const certificates = new Map(enrolled.map(({ id, certificate }) => [id, certificate]));
        const kept = keepSome(perRound * rounds);
        const latencies = createLatencies();
        const round = async (): Promise<number> => {
          const connections = await openConnections(perRound, (index) => {
            const { id, keyPem } = devices[index]!;
            const tls = { ca: service.trust, cert: certificates.get(id)!, key: keyPem };
            return { ...service.api, tls };
          });
          // Handshake and proof are the connection's, not the request's.
          await runLoad({ connections, requests: eachOnce(whoAmI), status: 200 });
          const before = service.cpuSeconds();
          const result = await runLoad({
            connections: inTurn(connections, atOnce),
            requests: new Array<Buffer>(perRound).fill(encodeJson('/v1/renew', {})),
            status: 201,
            onAnswer: (answer) => {
              kept.take(answer);
              const { device, certificate } = JSON.parse(answer.body.toString('utf8')) as {
                device: { id: string };
                certificate: string;
              };
              certificates.set(device.id, certificate);
            },
          });
          const rate = result.answers / (service.cpuSeconds() - before);
          latencies.add(result.latencies);
          for (const connection of connections) connection.close();
          return rate;
        };
        await round();
        const { best, limit } = await bestOf(rounds, round);
        await assertIssued(service, kept.answers);
        note(latencies.describe());
        return { value: best, limit };
      } finally {
        await service.stop();
      }
    },
  };
}

function requestsAtOnce(count: number): string {
  return count === 1 ? 'one request at a time' : `${count} requests at once`;
}

/** `count` senders that take the next connection for each request: a certificate renews once. */
function inTurn(
  connections: readonly Connection[],
  count: number,
): readonly Pick<Connection, 'send'>[] {
  let next = 0;
  const sender = {
    send: (request: Buffer): Promise<LoadAnswer> => connections[next++]!.send(request),
  };
  return new Array<typeof sender>(count).fill(sender);
}

function assertProvisioned({ body }: LoadAnswer): void {
  if (body.includes('"provisioned":true')) return;
  throw new Error(`not pushed to the broker before the answer: ${body.toString('utf8', 0, 2000)}`);
}

/** Of every round, with what the machine did beside it. */
function createLatencies(): {
  readonly add: (latencies: Float64Array) => void;
  readonly describe: () => string;
} {
  const all: number[] = [];
  return {
    add: (latencies) => void all.push(...latencies),
    describe: () => {
      const sorted = Float64Array.from(all).sort();
      return `answered after ${percentile(sorted, 0.5).toFixed(1)} ms (p50), ${percentile(sorted, 0.99).toFixed(1)} ms (p99)`;
    },
  };
}
