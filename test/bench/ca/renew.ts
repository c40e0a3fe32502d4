import type { Bench } from '../support/bench.ts';
import { assertIssued, keepSome } from '../support/certificates.ts';
import { enrollAll } from '../support/devices.ts';
import { encodeJson, openConnections, runLoad, type Connection } from '../support/http-load.ts';
import { startIssuingCa } from '../support/issuing-ca.ts';
import { eachOnce, makeDevice, whoAmI } from '../support/renewing.ts';
import { bestOf } from '../support/rounds.ts';

const deviceCount = 512;
/** In `rekeyed`: renewals of each device on its connection in a round. A second with another key would be two holders. */
const perDevice = 1;

export const renew: Bench = {
  id: 'renew',
  unit: 'answers/CPU-s',
  means: `POST /v1/renew over mTLS keep-alive by ${deviceCount} devices, each keeping its key as \`keyline device renew\` does by default, durable before the answer.`,
  reach: { atLeast: 0.45 },
  async run({ quick, folder, note }) {
    const rounds = quick ? 6 : 16;
    const devices = await Promise.all(
      Array.from({ length: deviceCount }, (_, i) => makeDevice(`renewing-${i}`, 1)),
    );
    const service = await startIssuingCa(folder);
    try {
      const certificates = new Map(
        (
          await enrollAll(
            service,
            devices.map(({ id, csrs }) => ({ id, pem: csrs[0]! })),
          )
        ).map(({ id, certificate }) => [id, certificate]),
      );
      const kept = keepSome(deviceCount * rounds);
      const connect = async (): Promise<readonly Connection[]> => {
        const connections = await openConnections(deviceCount, (index) => {
          const { id, keyPem } = devices[index]!;
          const tls = { ca: service.trust, cert: certificates.get(id)!, key: keyPem };
          return { ...service.api, tls };
        });
        // Handshake and proof are the connection's, not the request's.
        await runLoad({ connections, requests: eachOnce(whoAmI), status: 200 });
        return connections;
      };
      /** @returns answers per second of the service's CPU */
      const round = async (requests: (connection: number) => Buffer | undefined) => {
        const connections = await connect();
        const before = service.cpuSeconds();
        const { answers } = await runLoad({
          connections,
          requests,
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
        const rate = answers / (service.cpuSeconds() - before);
        for (const connection of connections) connection.close();
        return rate;
      };
      const sameKey = () => round(eachOnce(encodeJson('/v1/renew', {})));
      const newKeys = async (): Promise<number> => {
        // Made here, before the clock and the count start.
        const made = await Promise.all(devices.map(({ id }) => makeDevice(id, perDevice)));
        const requests = made.map(({ csrs }) =>
          csrs.map((csr) => encodeJson('/v1/renew', { csr })),
        );
        const rate = await round((connection) => requests[connection]!.shift());
        for (const [index, { keyPem }] of made.entries()) devices[index]!.keyPem = keyPem;
        return rate;
      };
      await sameKey();
      const { best, limit } = await bestOf(rounds, sameKey);
      const rekeyed = await bestOf(rounds / 2, newKeys);
      await assertIssued(service, kept.answers);
      note(
        `with a CSR for a new key each time: ${Math.round(rekeyed.best)}, ${(rekeyed.best / rekeyed.limit).toFixed(2)} of L`,
      );
      return { value: best, limit };
    } finally {
      await service.stop();
    }
  },
};
