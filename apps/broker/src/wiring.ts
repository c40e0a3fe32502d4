// One broker, whole: constructs everything and connects it; serves until it is closed. The process around it is main.ts.
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '@keyline/kernel';
import { openDynsecEngine } from '@keyline/dynsec';
import { AdminCertificates } from './admin-certificates.ts';
import { ClientAuthorities } from './client-authorities.ts';
import { ControlApi } from './control-api.ts';
import { TlsListener } from './tls-listener.ts';
import { watchExpiry } from './expired-sessions.ts';
import { addGauges } from './gauges.ts';
import { MqttEngine } from './engine/mqtt-engine.ts';
import { SessionStore } from './engine/session-store.ts';
import { openAlone } from './broker-folder.ts';
import { ConnectPolicy } from './connect-policy.ts';
import { LiveSessions } from './live-sessions.ts';
import { openMetricsServer } from './metrics-server.ts';
import { Metrics } from './metrics.ts';
import type { BrokerOptions } from './options.ts';
import { PasswordLogins } from './password-login.ts';
import { PeerJudge } from './peer-judge.ts';
import { PeerRules } from './peer-rules.ts';
import { PresenceBook } from './presence-book.ts';
import { PresenceFile } from './presence-file.ts';
import { RefusalBook } from './refusal-book.ts';
import { RefusalLog } from './refusal-log.ts';
import { StandingSessions } from './standing-sessions.ts';
import { assertTlsPolicy } from './tls-context.ts';
import { SysTopics } from './sys-topics.ts';
import { CertificateWatch, loadServerCertificate } from './server-certificate.ts';

export interface Broker {
  readonly port: number;
  readonly passwordPort: number | undefined;
  readonly webSocketPort: number | undefined;
  readonly metricsPort: number;
  /** Looks at the certificate files now. */
  reload(): Promise<void>;
  close(): Promise<void>;
}

interface BrokerContext {
  readonly log: Logger;
  readonly clock: Clock;
  /** Milliseconds between two looks at the certificate files. */
  readonly certificateInterval?: number;
}

const sysInterval = 10_000;

/** How long clients get to read their farewell when the broker stops. */
const closeTimeout = 500;

/** @throws {KeylineError} what is wrong with a file, a port or the stored state */
export async function openBroker(options: BrokerOptions, context: BrokerContext): Promise<Broker> {
  const { data, tls } = options;
  assertTlsPolicy(tls);
  return openAlone(data, () => openLocked(options, context));
}

async function openLocked(options: BrokerOptions, context: BrokerContext): Promise<Broker> {
  const { data, host, port, limits, tls, certificates: files } = options;
  const { log, clock, certificateInterval = 2000 } = context;
  const certificate = await loadServerCertificate(files);

  const metrics = new Metrics();
  const sessions = new LiveSessions();
  const presence = new PresenceBook({ clock, sessions });
  const presenceFile = await PresenceFile.open({
    path: join(data, 'presence.json'),
    book: presence,
    log,
  });
  sessions.observer = presence;
  const refusalBook = new RefusalBook({
    clock,
    isKnown: (name) => dynsec.checkIdentity(name) !== 'unknown',
  });
  const refusals = new RefusalLog(log, clock, (line) => {
    refusalBook.note(line);
  });
  const admins = new Set(options.admins);
  const authorities = new ClientAuthorities(certificate.clientAuthorities);
  const adminCertificates = new AdminCertificates({
    files: options.adminCertificates,
    log,
    interval: certificateInterval,
    onChange: () => {
      standing.judgeAgain(rules);
    },
  });
  const dynsec = await openDynsecEngine({
    folder: join(data, 'dynsec'),
    admins: options.admins,
    log: (level, message) => {
      log[level]({ part: 'dynsec' }, message);
    },
    connectionsOf: (username) => sessions.connectionsOf(username),
    tellPresence: ({ start, after, refusalsAfter }) => {
      const page = presence.tell({ start, after });
      return page && { ...page, ...refusalBook.tell(refusalsAfter) };
    },
  });
  const standing = new StandingSessions({ dynsec, sessions, metrics, log });
  const rules = new PeerRules({
    authorities,
    admins,
    adminCertificates,
    refreshAuthorities: () => watch.check(),
    dynsec,
  });
  const control = new ControlApi({
    dynsec,
    sessions,
    metrics,
    log,
    applyRights: (changed) => {
      engine.applyRights(changed);
    },
    judgeEverybody: () => {
      standing.judgeAgain(policy);
    },
  });
  const store = await SessionStore.open({
    folder: join(data, 'sessions'),
    limits,
    roles: dynsec,
    clock,
    log,
  });
  const policy = new ConnectPolicy({
    dynsec,
    admins,
    rules,
    sessions,
    maxConnections: limits.maxConnections,
    ownerOf: (clientId) => store.find(clientId)?.account.name,
    onAdmitted: (peerIdentity) => {
      for (const each of listeners) each.settle(peerIdentity);
      standing.endSuperseded(peerIdentity);
    },
  });
  const engine = new MqttEngine({
    dynsec,
    admins,
    policy,
    store,
    clock,
    sessions,
    control,
    limits,
    metrics,
    refusals,
    log,
  });
  const logins = new PasswordLogins({
    dynsec,
    admins,
    guesses: { perAddress: limits.maxGuessesPerAddress, perName: limits.maxGuessesPerName },
  });
  const judge = new PeerJudge({
    authorities,
    admins,
    isRevoked: (serialHex) => dynsec.isRevoked(serialHex),
    rules,
    clock,
    metrics,
  });
  const createListener = (carrier: 'tls' | 'websocket' | 'password'): TlsListener =>
    new TlsListener({
      carrier: carrier === 'websocket' ? 'websocket' : 'tls',
      judgeLogin:
        carrier === 'password' ? (conn, address) => logins.judge(conn, address) : undefined,
      certificate,
      tls,
      limits,
      metrics,
      log,
      refusals,
      judge,
      onConnection: (peer) => {
        engine.accept(peer);
      },
    });
  const listener = createListener('tls');
  const webSocketListener =
    options.webSocketPort === undefined ? undefined : createListener('websocket');
  const passwordListener =
    options.passwordPort === undefined ? undefined : createListener('password');
  const listeners = [listener, webSocketListener, passwordListener].filter(
    (each) => each !== undefined,
  );
  addGauges({ metrics, sessions, store, engine, dynsec, listeners });

  let serving = true;
  const metricsServer = await openMetricsServer({
    port: options.metricsPort,
    metrics,
    status: () => {
      if (!serving) return 'stopping';
      return store.isKept ? 'ok' : 'failing';
    },
    log,
  });
  const watch = new CertificateWatch({
    files,
    log,
    interval: certificateInterval,
    onChange: (changed) => {
      authorities.replace(changed.clientAuthorities);
      for (const each of listeners) each.swap(changed);
      standing.judgeAgain(rules);
    },
  });
  await watch.start();
  await adminCertificates.start();
  const sysTopics = new SysTopics({
    metrics,
    clock,
    interval: sysInterval,
    read: () => ({
      connected: sessions.size,
      sessions: store.size,
      subscriptions: engine.subscriptions,
      retained: store.retained.size,
      waiting: store.messagesWaiting,
    }),
    publish: (topic, payload) => {
      engine.publishRetained(topic, payload);
    },
  });
  engine.start();
  await sysTopics.start();
  const stopWatchingExpiry = watchExpiry({ sessions, metrics, log, clock });
  const boundPort = await listener.listen(host, port);
  const webSocketPort = await webSocketListener?.listen(host, options.webSocketPort ?? 0);

  const passwordPort = await passwordListener?.listen(host, options.passwordPort ?? 0);

  return {
    port: boundPort,
    passwordPort,
    webSocketPort,
    metricsPort: metricsServer.port,
    reload: async () => {
      await watch.check();
      await adminCertificates.check();
    },
    async close() {
      serving = false;
      watch.stop();
      adminCertificates.stop();
      sysTopics.stop();
      stopWatchingExpiry();
      for (const each of listeners) each.stopListening();
      engine.dismiss();
      await Promise.all(listeners.map((each) => each.close(closeTimeout)));
      engine.close();
      await presenceFile.close();
      await store.close();
      await dynsec.close();
      await metricsServer.close();
    },
  };
}
