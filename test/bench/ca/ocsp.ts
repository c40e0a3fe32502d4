// The two OCSP benches differ in the nonce alone: with it nothing can come from a cache.
import { readCertStatus } from '../support/ocsp-answers.ts';
import { measurePeers } from '../peers/peers.ts';
import type { Bench, BenchContext, Measured } from '../support/bench.ts';
import { loadCsrs } from '../support/csrs.ts';
import { enrollAll } from '../support/devices.ts';
import { encodeRequest, openConnections, runLoad } from '../support/http-load.ts';
import { startIssuingCa } from '../support/issuing-ca.ts';
import { createOcspRequests } from '../support/ocsp-requests.ts';
import { bestOf } from '../support/rounds.ts';

const connectionCount = 64;
const type = 'application/ocsp-request';

export const ocspCached: Bench = {
  id: 'ocsp-cached',
  unit: 'answers/CPU-s',
  means: `OCSP over plain HTTP keep-alive (${connectionCount} connections), POST and GET in turn, about 1,000 certificates, answered from the cache.`,
  reach: { atLeast: 3 },
  run: (context) => measure(context, 'cached'),
};

export const ocspFresh: Bench = {
  id: 'ocsp-fresh',
  unit: 'answers/CPU-s',
  means: `The same with a nonce in each request, so that every answer is signed anew.`,
  reach: { atLeast: 1.5 },
  run: (context) => measure(context, 'fresh'),
};

async function measure(context: BenchContext, kind: 'cached' | 'fresh'): Promise<Measured> {
  const { quick, folder, note } = context;
  const perRound = kind === 'cached' ? 15_000 : 8_000;
  const service = await startIssuingCa(folder);
  try {
    const units = await enrollAll(service, await loadCsrs(1_000));
    const encode = createOcspRequests(service.issuingDer);
    const requests = Array.from({ length: perRound }, (_, i) => {
      const { serial } = units[i % units.length]!;
      const body = kind === 'cached' ? encode.plain(serial) : encode.withNonce(serial);
      return i % 2 === 0
        ? encodeRequest({ method: 'POST', path: '/ocsp', type, body })
        : encodeRequest({
            method: 'GET',
            path: `/ocsp/${encodeURIComponent(body.toString('base64'))}`,
          });
    });
    const connections = await openConnections(connectionCount, service.http);
    let rate = 0;
    let last: Uint8Array = new Uint8Array();
    const round = async (): Promise<number> => {
      const before = service.cpuSeconds();
      const { answers, seconds } = await runLoad({
        connections,
        requests,
        status: 200,
        onAnswer: ({ body }) => (last = body),
      });
      rate = Math.max(rate, answers / seconds);
      return answers / (service.cpuSeconds() - before);
    };
    await round();
    const { best, limit } = await bestOf(quick ? 4 : 16, round);
    if (readCertStatus(last) !== 'good') throw new Error('the last answer is not "good"');
    note(`${Math.round(rate)} answers per second of the clock at most`);
    await service.stop();
    const peers = await measurePeers(`ocsp-${kind}`, context);
    return { value: best, limit, peers };
  } finally {
    await service.stop();
  }
}
