import { createSigner, generateKey } from '@keyline/keys';
import { createCsr, encodePem } from '@keyline/x509';
import type { Bench } from '../support/bench.ts';
import { assertIssued, keepSome } from '../support/certificates.ts';
import { enrollAll } from '../support/devices.ts';
import { encodeJson, openConnections, runLoad } from '../support/http-load.ts';
import { startIssuingCa } from '../support/issuing-ca.ts';
import { bestOf } from '../support/rounds.ts';

const deviceCount = 256;

export const renew: Bench = {
  id: 'renew',
  unit: 'answers/CPU-s',
  means: `POST /v1/renew over mTLS keep-alive by ${deviceCount} devices, each time with a CSR for a new key, durable before the answer.`,
  reach: { atLeast: 0.45 },
  async run({ quick, folder, note }) {
    const perDevice = 8;
    const rounds = quick ? 4 : 16;
    const devices = await Promise.all(
      Array.from({ length: deviceCount }, (_, i) => makeDevice(`renewing-${i}`, 1)),
    );
    const service = await startIssuingCa(folder);
    try {
      const enrolled = new Map(
        (
          await enrollAll(
            service,
            devices.map(({ id, csrs }) => ({ id, pem: csrs[0]! })),
          )
        ).map((unit) => [unit.id, unit]),
      );
      const connections = await openConnections(deviceCount, (index) => {
        const { id, keyPem } = devices[index]!;
        const cert = enrolled.get(id)!.certificate;
        return { ...service.api, tls: { ca: service.trust, cert, key: keyPem } };
      });
      const kept = keepSome(deviceCount * perDevice);
      let rate = 0;
      const round = async (): Promise<number> => {
        // New keys for every round; made here, before the clock and the count start.
        const requests = await Promise.all(
          devices.map(async ({ id }) =>
            (await makeDevice(id, perDevice)).csrs.map((csr) => encodeJson('/v1/renew', { csr })),
          ),
        );
        const before = service.cpuSeconds();
        const { answers, seconds } = await runLoad({
          connections,
          requests: (connection) => requests[connection]!.pop(),
          status: 201,
          onAnswer: kept.take,
        });
        rate = Math.max(rate, answers / seconds);
        return answers / (service.cpuSeconds() - before);
      };
      await round();
      const { best, limit } = await bestOf(rounds, round);
      await assertIssued(service, kept.answers);
      note(`${Math.round(rate)} answers per second of the clock at most`);
      return { value: best, limit };
    } finally {
      await service.stop();
    }
  },
};

/** A device with `count` CSRs, each for another key; `keyPem` is the last one's. */
async function makeDevice(
  id: string,
  count: number,
): Promise<{ id: string; keyPem: string; csrs: string[] }> {
  const csrs: string[] = [];
  let keyPem = '';
  for (let i = 0; i < count; i++) {
    const key = generateKey('ec-p256');
    keyPem = key.export({ type: 'pkcs8', format: 'pem' });
    const der = await createCsr({ signer: createSigner(key), commonName: id });
    csrs.push(encodePem('CERTIFICATE REQUEST', der));
  }
  return { id, keyPem, csrs };
}
