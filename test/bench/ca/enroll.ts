import { openConnections, runLoad, encodeJson } from '../support/http-load.ts';
import type { Bench } from '../support/bench.ts';
import { assertIssued, keepSome } from '../support/certificates.ts';
import { loadCsrs } from '../support/csrs.ts';
import { startIssuingCa } from '../support/issuing-ca.ts';
import { measurePeers } from '../peers/peers.ts';
import { bestOf } from '../support/rounds.ts';
import { createTokens } from '../support/tokens.ts';

const connectionCount = 256;

/** The clients prove themselves by a token in the body, each request by its own single-use one. */
export const enroll: Bench = {
  id: 'enroll',
  unit: 'answers/CPU-s',
  means: `POST /v1/enroll over TLS 1.3 keep-alive (${connectionCount} connections), a single-use token each, durable before the answer.`,
  reach: { atLeast: 0.4 },
  async run(context) {
    const { quick, folder, note } = context;
    const perRound = 1_000;
    const rounds = quick ? 6 : 32;
    const csrs = await loadCsrs(perRound * (rounds + 1));
    const service = await startIssuingCa(folder);
    try {
      const tokens = await createTokens(service, csrs.length);
      const requests = csrs.map(({ id, pem }, index) =>
        encodeJson('/v1/enroll', { id, csr: pem, token: tokens[index] }),
      );
      const connections = await openConnections(connectionCount, service.api);
      const kept = keepSome(perRound);
      let next = 0;
      let rate = 0;
      const round = async (): Promise<number> => {
        const before = service.cpuSeconds();
        const part = requests.slice(next, (next += perRound));
        const { answers, seconds } = await runLoad({
          connections,
          requests: part,
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
      await service.stop();
      return { value: best, limit, peers: await measurePeers('enroll', context) };
    } finally {
      await service.stop();
    }
  },
};
