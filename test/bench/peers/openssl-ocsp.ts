// OpenSSL's own responder. It has no cache and no keep-alive: every answer is signed, and every request is a connection.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort, stopper } from '../support/issuing-ca.ts';
import { encodeRequest } from '../support/http-load.ts';
import { readCertStatus } from '../support/ocsp-answers.ts';
import { createOcspRequests } from '../support/ocsp-requests.ts';
import { cpuSecondsOf } from '../support/process-figures.ts';
import { writeAuthority } from './authority.ts';
import type { PeerAdapter } from './peers.ts';

export const opensslOcsp: PeerAdapter = {
  name: 'openssl ocsp',
  bench: 'ocsp-fresh',
  command: 'openssl',
  async measure({ folder, quick }, commandPath) {
    const { certificate, key, certificateDer } = await writeAuthority(folder);
    const index = join(folder, 'index.txt');
    const serials = Array.from({ length: 1000 }, (_, i) => (0x4000_0000 + i).toString(16));
    const lines = serials.map(
      (serial, i) => `V\t491231235959Z\t\t${serial.toUpperCase()}\tunknown\t/CN=unit-${i}\n`,
    );
    writeFileSync(index, lines.join(''));
    const port = await freePort();
    const child = spawn(
      commandPath,
      [
        'ocsp',
        ...['-index', index, '-CA', certificate, '-rsigner', certificate, '-rkey', key],
        ...['-port', String(port), '-nmin', '60', '-resp_no_certs'],
      ],
      { stdio: 'ignore' },
    );
    const stop = stopper(child);
    try {
      const encode = createOcspRequests(certificateDer);
      const requests = Array.from({ length: quick ? 500 : 2000 }, (_, i) =>
        encodeRequest({
          method: 'POST',
          path: '/',
          type: 'application/ocsp-request',
          body: encode.withNonce(serials[i % serials.length]!),
        }),
      );
      await answerOf(port, requests[0]!, 50);
      let best = 0;
      for (let round = 0; round < 4; round++) {
        const before = cpuSecondsOf(child.pid!);
        let next = 0;
        await Promise.all(
          Array.from({ length: 8 }, async () => {
            for (let request = requests[next++]; request; request = requests[next++]) {
              const answer = await answerOf(port, request, 0);
              if (readCertStatus(answer) !== 'good') throw new Error('an answer is not "good"');
            }
          }),
        );
        best = Math.max(best, requests.length / (cpuSecondsOf(child.pid!) - before));
      }
      return best;
    } finally {
      await stop();
    }
  },
};

/** @param retries while it starts */
async function answerOf(port: number, request: Buffer, retries: number): Promise<Uint8Array> {
  try {
    return await new Promise((resolve, reject) => {
      const parts: Buffer[] = [];
      const socket = connect({ host: '127.0.0.1', port });
      socket.on('error', reject);
      socket.on('data', (part: Buffer) => parts.push(part));
      socket.on('end', () => {
        const all = Buffer.concat(parts);
        resolve(new Uint8Array(all.subarray(all.indexOf('\r\n\r\n') + 4)));
      });
      socket.end(request);
    });
  } catch (error) {
    if (retries === 0) throw error;
    await sleep(50);
    return answerOf(port, request, retries - 1);
  }
}
