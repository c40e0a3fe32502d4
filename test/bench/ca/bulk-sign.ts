import { request } from 'node:https';
import type { Bench } from '../support/bench.ts';
import { assertIssued } from '../support/certificates.ts';
import { loadCsrs } from '../support/csrs.ts';
import { startIssuingCa, type IssuingCa } from '../support/issuing-ca.ts';
import { bestOf } from '../support/rounds.ts';

interface SignLine {
  readonly status: number;
  readonly serial: string;
  readonly certificate: string;
}

export const bulkSign: Bench = {
  id: 'bulk-sign',
  unit: 'certificates/CPU-s',
  means:
    'POST /v1/batches/{id}/sign, one NDJSON stream over TLS, each line durable before it is answered.',
  reach: { atLeast: 0.55 },
  async run({ quick, folder, note }) {
    const perRound = quick ? 1_000 : 2_000;
    const rounds = quick ? 4 : 16;
    const csrs = await loadCsrs(perRound * (rounds + 1));
    const lines = csrs.map(({ id, pem }) => `${JSON.stringify({ id, csr: pem })}\n`);
    const service = await startIssuingCa(folder);
    try {
      const opened = await service.admin.post('/v1/batches', { id: 'bench', quota: csrs.length });
      if (opened.status !== 201) throw new Error(`no batch: ${opened.text}`);
      let next = 0;
      let rate = 0;
      const sample: SignLine[] = [];
      const round = async (): Promise<number> => {
        const part = lines.slice(next, (next += perRound));
        const before = service.cpuSeconds();
        const begun = performance.now();
        const answers = await signStream(service, part.join(''));
        const seconds = (performance.now() - begun) / 1000;
        const cpu = service.cpuSeconds() - before;
        const signed = answers.map((line) => JSON.parse(line) as SignLine);
        const refused = signed.find(({ status }) => status !== 201);
        if (signed.length !== part.length || refused !== undefined) {
          throw new Error(`${signed.length} answers; ${JSON.stringify(refused)}`);
        }
        sample.push(signed[0]!, signed.at(-1)!);
        rate = Math.max(rate, signed.length / seconds);
        return signed.length / cpu;
      };
      await round();
      const { best, limit } = await bestOf(rounds, round);
      await assertIssued(service, sample);
      note(`${Math.round(rate)} certificates per second of the clock at most`);
      return { value: best, limit };
    } finally {
      await service.stop();
    }
  },
};

function signStream(
  { api, trust, adminProof }: IssuingCa,
  body: string,
): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        host: api.host,
        port: api.port,
        servername: 'localhost',
        ca: trust,
        ...adminProof,
        agent: false,
        method: 'POST',
        path: '/v1/batches/bench/sign',
        headers: { 'content-type': 'application/x-ndjson' },
      },
      (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', reject);
        response.on('end', () => {
          resolve(Buffer.concat(parts).toString('utf8').trimEnd().split('\n'));
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
