// One broker, whole: constructs everything and connects it; serves until it is closed. The process around it is main.ts.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Clock } from '@keyline/kernel';
import { openDynsecEngine } from '@keyline/dynsec';
import { AdminCertificates } from './admin-certificates.ts';
import { ClientAuthorities } from './client-authorities.ts';
import { ControlApi } from './control-api.ts';
import { TlsListener } from './tls-listener.ts';
import { endSession } from './end-session.ts';
import { watchExpiry } from './expired-sessions.ts';
import { lockFolder } from './engine/folder-lock.ts';
import { MqttEngine } from './engine/mqtt-engine.ts';
import { SessionStore } from './engine/session-store.ts';
import { ConnectPolicy } from './connect-policy.ts';
import { LiveSessions } from './live-sessions.ts';
import { openMetricsServer } from './metrics-server.ts';
import { Metrics } from './metrics.ts';
import type { BrokerOptions } from './options.ts';
import { PasswordLogins } from './password-login.ts';
import type { PeerIdentity } from './peer-identity.ts';
import { PeerRules } from './peer-rules.ts';
import { reasonStringOf } from './refusal.ts';
import { RefusalLog } from './refusal-log.ts';
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
  await mkdir(data, { recursive: true, mode: 0o700 });
  const unlock = lockFolder(data);
  try {
    const broker = await openLocked(options, context);
    return {
      ...broker,
      async close() {
        await broker.close();
        unlock();
      },
    };
  } catch (error) {
    unlock();
    throw error;
  }
}

async function openLocked(options: BrokerOptions, context: BrokerContext): Promise<Broker> {
  const { data, host, port, limits, tls, certificates: files } = options;
  const { log, clock, certificateInterval = 2000 } = context;
  const certificate = await loadServerCertificate(files);

  const metrics = new Metrics();
  const sessions = new LiveSessions();
  const refusals = new RefusalLog(log, clock);
  const admins = new Set(options.admins);
  const authorities = new ClientAuthorities(certificate.clientAuthorities);
  const adminCertificates = new AdminCertificates({
    files: options.adminCertificates,
    log,
    interval: certificateInterval,
    onChange: () => {
      judgeAgain();
    },
  });
  const dynsec = await openDynsecEngine({
    folder: join(data, 'dynsec'),
    admins: options.admins,
    log: (level, message) => {
      log[level]({ part: 'dynsec' }, message);
    },
    connectionsOf: (username) => sessions.connectionsOf(username),
  });
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
      judgeAgain(policy);
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
      endSuperseded(peerIdentity);
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
      clock,
      authorities,
      admins,
      isRevoked: (serialHex) => dynsec.isRevoked(serialHex),
      prepare: (verdict, peer) => rules.prepare(verdict, peer),
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
  addGauges();

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
      judgeAgain();
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
      await store.close();
      await dynsec.close();
      await metricsServer.close();
    },
  };

  /** A successor is in use: whoever is here with what it took the place of is so no longer. */
  function endSuperseded({ verdict }: PeerIdentity): void {
    if ('refusal' in verdict || verdict.identity.login !== 'certificate') return;
    const { name, serialHex } = verdict.identity;
    const superseded = dynsec.noteUse(name, serialHex, '');
    if (superseded.length === 0) return;
    for (const session of sessions.named(name)) {
      if (!superseded.includes(session.identity.serialHex)) continue;
      endSession(
        session,
        {
          reason: 'superseded',
          message: 'session ended, because the successor of its certificate is in use',
          reasonCode: 0x87,
          reasonString: `The certificate of "${name}" was superseded by ${serialHex}, which is in use. Use that one.`,
        },
        { metrics, log },
      );
    }
  }

  /** Authorities, administrators' keys or rights have changed: who would not be let in now does not stay either. */
  function judgeAgain(by: Pick<PeerRules, 'refusalOf'> = rules): void {
    for (const session of [...sessions.all()]) {
      const refusal = by.refusalOf(session.identity);
      if (refusal === undefined) continue;
      endSession(
        session,
        {
          reason: 'no-longer-let-in',
          message: `session ended: ${refusal.happened}`,
          reasonCode: refusal.reasonCode,
          reasonString: reasonStringOf(refusal),
        },
        { metrics, log },
      );
    }
  }

  function addGauges(): void {
    metrics.gauge(
      'keyline_broker_connections',
      'Connections whose CONNECT was accepted.',
      () => sessions.size,
    );
    metrics.gauge(
      'keyline_broker_handshakes_in_progress',
      'TLS handshakes that have begun and not ended.',
      () => listeners.reduce((sum, { handshakesInProgress }) => sum + handshakesInProgress, 0),
    );
    metrics.gauge(
      'keyline_broker_connections_waiting',
      'Connections whose handshake is done and whose CONNECT was not accepted yet.',
      () => listeners.reduce((sum, { connectionsWaiting }) => sum + connectionsWaiting, 0),
    );
    metrics.gauge(
      'keyline_broker_sessions',
      'Sessions, of connected and of absent clients.',
      () => store.size,
    );
    metrics.gauge(
      'keyline_broker_subscriptions',
      'Subscriptions of connected clients.',
      () => engine.subscriptions,
    );
    metrics.gauge(
      'keyline_broker_sessions_kept',
      'Whether sessions and messages are kept on disk; 0 while it takes nothing.',
      () => Number(store.isKept),
    );
    metrics.gauge(
      'keyline_broker_messages_waiting',
      'QoS 1 and 2 messages that wait for a client or its acknowledgement.',
      () => store.messagesWaiting,
    );
    metrics.gauge(
      'keyline_broker_retained_messages',
      'Retained messages.',
      () => store.retained.size,
    );
    for (const [name, what, read] of [
      ['queued', 'messages that wait for clients', () => store.accounts.queuedBytes],
      ['retained', 'retained messages', () => store.accounts.retainedBytes],
      ['partial', 'packets that are not whole', () => engine.memory.partial],
      ['unread', 'what slow clients have not taken', () => engine.memory.unread],
    ] as const) {
      metrics.gauge(`keyline_broker_${name}_bytes`, `Memory of ${what}, about.`, read);
    }
    metrics.gauge(
      'keyline_broker_identities',
      'Clients in the dynamic-security state.',
      () => dynsec.counts().clients,
    );
    metrics.gauge(
      'keyline_broker_revoked_serials',
      'Certificates that are refused because they are revoked.',
      () => dynsec.counts().revokedSerials,
    );
  }
}
