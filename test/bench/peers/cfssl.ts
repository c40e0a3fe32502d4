// Debian's cfssl as a signing service over TLS, its certificates in SQLite. It asks for no token: whoever reaches it may sign.
import { spawn } from 'node:child_process';
import { createWriteStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadCsrs } from '../support/csrs.ts';
import { Connection, encodeJson, openConnections, runLoad } from '../support/http-load.ts';
import { freePort, stopper } from '../support/issuing-ca.ts';
import { cpuSecondsOf } from '../support/process-figures.ts';
import { writeAuthority } from './authority.ts';
import type { PeerAdapter } from './peers.ts';

const key = 'PRIMARY KEY (serial_number, authority_key_identifier)';
const schema = `
  CREATE TABLE certificates (serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, ca_label blob,
    status blob NOT NULL, reason int, expiry timestamp, revoked_at timestamp, pem blob NOT NULL, ${key});
  CREATE TABLE ocsp_responses (serial_number blob NOT NULL, authority_key_identifier blob NOT NULL, body blob NOT NULL,
    expiry timestamp, ${key});
  PRAGMA journal_mode = WAL;
`;
const signing = { default: { expiry: '2160h', usages: ['digital signature', 'client auth'] } };

export const cfssl: PeerAdapter = {
  name: 'cfssl (SQLite)',
  bench: 'enroll',
  command: 'cfssl',
  async measure({ folder, quick }, commandPath) {
    const authority = await writeAuthority(folder);
    const path = join(folder, 'cfssl.db');
    const db = new DatabaseSync(path);
    db.exec(schema);
    db.close();
    const dbConfig = join(folder, 'cfssl-db.json');
    const source = `file:${path}?_busy_timeout=10000`;
    writeFileSync(dbConfig, JSON.stringify({ driver: 'sqlite3', data_source: source }));
    const config = join(folder, 'cfssl.json');
    writeFileSync(config, JSON.stringify({ signing }));
    const port = await freePort();
    const child = spawn(
      commandPath,
      [
        'serve',
        ...['-address', '127.0.0.1', '-port', String(port), '-loglevel', '2'],
        ...['-ca', authority.certificate, '-ca-key', authority.key],
        ...['-config', config, '-db-config', dbConfig],
        ...['-tls-cert', authority.certificate, '-tls-key', authority.key],
      ],
      { stdio: ['ignore', 'ignore', 'pipe'] },
    );
    child.stderr.pipe(createWriteStream(join(folder, 'cfssl.log')));
    const stop = stopper(child);
    try {
      // Its certificate is the authority's own, which names no host.
      const target = { host: '127.0.0.1', port, tls: { rejectUnauthorized: false } };
      await untilItServes(target);
      const perRound = quick ? 500 : 1000;
      const csrs = await loadCsrs(perRound * 4);
      const connections = await openConnections(8, target);
      let best = 0;
      for (let round = 0; round < 4; round++) {
        const part = csrs.slice(round * perRound, (round + 1) * perRound);
        const requests = part.map(({ pem }) =>
          encodeJson('/api/v1/cfssl/sign', { certificate_request: pem }),
        );
        const before = cpuSecondsOf(child.pid!);
        await runLoad({ connections, requests, status: 200 });
        best = Math.max(best, perRound / (cpuSecondsOf(child.pid!) - before));
      }
      const signed = new DatabaseSync(path, { readOnly: true });
      const row = signed.prepare('SELECT count(*) AS count FROM certificates').get();
      signed.close();
      if (row?.['count'] !== csrs.length) throw new Error('it did not store what it signed');
      return best;
    } finally {
      await stop();
    }
  },
};

async function untilItServes(target: Parameters<typeof Connection.open>[0]): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      (await Connection.open(target)).close();
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await sleep(50);
    }
  }
}
