// Real Mosquitto behind the command line of the embedded broker: writes what it reads, runs it, and keeps all of it up to date.
import { createServer } from 'node:net';
import { join } from 'node:path';
import { loadConfig } from '@keyline/config';
import { drawServicePort, KeylineError, messageOf } from '@keyline/kernel';
import { compileAclFile } from '@keyline/targets';
import { openAlone } from '../broker-folder.ts';
import { openMetricsServer } from '../metrics-server.ts';
import { defaultLimits, type Limits } from '../options.ts';
import {
  CertificateWatch,
  loadServerCertificate,
  type ServerCertificate,
} from '../server-certificate.ts';
import type { Broker } from '../wiring.ts';
import { writeConfiguration } from './configuration.ts';
import { CanaryIssuer, tryCanary } from './canary.ts';
import { CrlEvidence } from './crl-evidence.ts';
import { CrlWatch } from './crl-watch.ts';
import { findMosquitto, type InstalledMosquitto } from './find-mosquitto.ts';
import { parseIssuers } from './judge-crl.ts';
import { MosquittoMetrics } from './mosquitto-metrics.ts';
import { KeptSessions } from './kept-sessions.ts';
import { findLeash, stopLeftover } from './mosquitto-process.ts';
import { defaultPaces, type MosquittoContext, type MosquittoOptions } from './options.ts';
import { ReloadPlan } from './reload-plan.ts';
import { findOwner, RuntimeFolder, runtimeFiles } from './runtime-folder.ts';
import { Supervisor } from './supervisor.ts';

/** Of a CRL, by Mosquitto, some thirty times over: it stands still meanwhile, and shall not for more than some percent of the time. */
const bytesReadInMillisecond = 1024;

/** An operator who revokes one device, then another, shall not wait a minute for the second: the fleet reconnects once more instead. */
const restartsAtOnce = 3;

/** @throws {KeylineError} what is missing or wrong: Mosquitto itself, a file, a port, the configuration */
export async function openMosquittoBroker(
  options: MosquittoOptions,
  context: MosquittoContext,
): Promise<Broker> {
  const { data, tls, limits } = options;
  const { log } = context;
  if (options.webSocketPort !== undefined) {
    throw new KeylineError(
      'USAGE',
      '--websocket-port is for --engine embedded: Mosquitto checks no CRL on WebSocket listeners, so a revoked device would come in there.',
    );
  }
  if (tls.groups !== undefined || tls.signatureAlgorithms !== undefined) {
    throw new KeylineError(
      'USAGE',
      '--tls-groups and --tls-signature-algorithms are for --engine embedded: Mosquitto takes what its OpenSSL is configured for (openssl.cnf).',
    );
  }
  warnOfUnknownLimits(limits, log);
  const mosquitto = await findMosquitto(options.mosquitto, context.host.env);
  // Alone, before another's Mosquitto would be taken for a leftover.
  return openAlone(data, () => openLocked(options, { context, mosquitto }));
}

async function openLocked(
  options: MosquittoOptions,
  given: { readonly context: MosquittoContext; readonly mosquitto: InstalledMosquitto },
): Promise<Broker> {
  const { data, host, certificates: files, tls, limits, crlUrls, crlUrlsFile } = options;
  const { context, mosquitto } = given;
  const { log, clock } = context;
  const hasCrl = crlUrls.length > 0 || crlUrlsFile !== undefined;
  const paces = { ...defaultPaces, ...context.paces };
  const owner = await findOwner(context.host.uid);
  const folder = await RuntimeFolder.open(join(data, 'mosquitto'), owner);
  const pidFile = join(data, 'mosquitto.pid');
  await stopLeftover(folder, pidFile, context);

  let certificate = await loadServerCertificate(files);
  let issuers = parseIssuers(certificate.ca.toString());
  const port = options.port === 0 ? await findFreePort(host) : options.port;
  let acl = await compileAcl(options.config);
  const canaries = await CanaryIssuer.create(clock.now());
  await putCertificate(certificate);
  await folder.put(runtimeFiles.acl, acl);
  await folder.put(
    runtimeFiles.configuration,
    writeConfiguration({
      host,
      port,
      tls,
      limits,
      plugin: mosquitto.plugin,
      hasCrl,
    }),
  );

  const metrics = new MosquittoMetrics({
    version: mosquitto.version,
    isServing: () => supervisor.isServing,
    isWaiting: () => plan.isWaiting || evidence.isWaiting,
    crls: () => evidence.crls,
  });
  const kept = new KeptSessions();
  const supervisor = new Supervisor({
    mosquitto,
    leash: await findLeash(),
    folder,
    pidFile,
    admins: options.admins,
    limits,
    paces,
    log,
    events: {
      onStarting: () => {
        plan.onStarting();
        evidence.forget();
        kept.reset();
        loadedUntil = endOfCrls();
      },
      onFigures: (figures) => {
        metrics.takeFigures(figures);
        const offline = figures.get('clients/disconnected') ?? 0;
        kept.onFigures(offline);
        plan.onFigures(offline);
      },
      onConnected: (client) => {
        kept.connected(client);
      },
      onLine: (line) => {
        kept.read(line);
      },
      onStranger: () => {
        metrics.strangers.inc();
      },
      onServing: () => {
        evidence.told();
      },
      onRestart: (why) => {
        evidence.forget();
        metrics.restarts.inc({ why });
      },
    },
  });
  const plan = new ReloadPlan({
    hangUpIsSafe: mosquitto.hangUpIsSafe,
    noneIsOffline: () => kept.noneIsOffline,
    hangUpEvery: () => watch.bytes / bytesReadInMillisecond,
    restartEvery: paces.restarts,
    restartsAtOnce,
    log,
    hangUp: () => {
      supervisor.hangUp();
      evidence.told();
      loadedUntil = endOfCrls();
    },
    restart: (reason) => {
      supervisor.restart(reason);
    },
  });
  const evidence = new CrlEvidence({
    tryCanary: (canary) =>
      supervisor.duringCanary(() => tryCanary(canary, { host, port, minVersion: tls.minVersion })),
    onInForce: () => {
      supervisor.cutDenied();
    },
    onNotRead: () => {
      supervisor.restart('a CRL was not read');
    },
    log,
  });
  let isStarted = false;
  /** When the first of the CRLs that Mosquitto has read ends. */
  let loadedUntil = Infinity;
  const endOfCrls = (): number => Math.min(...watch.crls.map(({ nextUpdate }) => nextUpdate));
  const watch = new CrlWatch({
    urls: crlUrls,
    urlsFile: crlUrlsFile,
    folder,
    issuers: () => issuers,
    interval: paces.crl,
    clock,
    log,
    onFailure: () => {
      metrics.crlFailures.inc();
    },
    mark: (thisUpdate) => canaries.mark(thisUpdate),
    onWritten: (written, { revocationsChanged, authorityGone }) => {
      evidence.written(written);
      if (!isStarted) return;
      if (authorityGone) {
        // Nothing else ends the sessions of its devices: Mosquitto judges a certificate when it connects.
        supervisor.restart('an authority is let in no more');
        return;
      }
      const numbers = watch.crls.map(({ name, number }) => `${name} number ${String(number)}`);
      // One with the same revocations can wait, but not until the one that Mosquitto has is over.
      const left = Math.max(0, loadedUntil - clock.now());
      plan.request(`CRL ${numbers.join(', ')}`, revocationsChanged ? 0 : left / 2);
    },
  });
  const certificates = new CertificateWatch({
    files,
    log,
    interval: paces.certificates,
    onChange: (changed) => {
      void swap(changed);
    },
  });
  // Before anything slow: whoever waits for a CRL sees here that it is waited for.
  const metricsServer = await openMetricsServer({
    port: options.metricsPort,
    metrics,
    status: () => (supervisor.isServing ? 'ok' : 'failing'),
    log,
  });
  const close = async (): Promise<void> => {
    certificates.stop();
    plan.stop();
    await watch.stop();
    await supervisor.stop();
    await metricsServer.close();
  };
  try {
    await certificates.start();
    if (hasCrl) await watch.start();
    else
      log.warn(
        { event: 'no CRL' },
        'without --crl-url or --crl-urls Mosquitto lets revoked certificates in',
      );
    isStarted = true;
    await supervisor.start();
  } catch (error) {
    await close();
    throw error;
  }

  return {
    port,
    passwordPort: undefined,
    webSocketPort: undefined,
    metricsPort: metricsServer.port,
    async reload() {
      await certificates.check();
      await reloadRoles();
    },
    close,
  };

  async function putCertificate({ cert, key, ca }: ServerCertificate): Promise<void> {
    await folder.put(runtimeFiles.key, key);
    await folder.put(runtimeFiles.certificate, cert);
    await folder.put(runtimeFiles.ca, hasCrl ? `${ca.toString()}\n${canaries.rootPem}` : ca);
  }

  async function swap(changed: ServerCertificate): Promise<void> {
    try {
      const isNewCa = !changed.ca.equals(certificate.ca);
      issuers = parseIssuers(changed.ca.toString());
      await putCertificate(changed);
      certificate = changed;
      // cafile is read again with a crlfile only.
      if (isNewCa && !hasCrl) supervisor.restart('the CA bundle changed');
      else plan.request('the server certificate or the CA bundle changed', 0);
    } catch (error) {
      log.error(
        { event: 'certificate not swapped', error: messageOf(error) },
        `Mosquitto was not given the changed certificate: ${messageOf(error)}`,
      );
    }
  }

  async function reloadRoles(): Promise<void> {
    try {
      const changed = await compileAcl(options.config);
      if (changed === acl) return;
      await folder.put(runtimeFiles.acl, changed);
      acl = changed;
      plan.request('the roles changed', 0);
    } catch (error) {
      log.error(
        { event: 'roles not reloaded', error: messageOf(error) },
        `the roles stay as they were: ${messageOf(error)}`,
      );
    }
  }
}

async function compileAcl(config: string): Promise<string> {
  const { roles } = await loadConfig(config);
  return compileAclFile(roles);
}

/** What mosquitto.conf has a word for (configuration.ts). */
const knownLimits: ReadonlySet<keyof Limits> = new Set([
  'maxConnections',
  'maxInflightMessages',
  'maxQueuedMessages',
  'messageSizeLimit',
  'maxPacketSize',
  'maxKeepalive',
  'persistentClientExpiration',
] as const);

function warnOfUnknownLimits(limits: Limits, log: MosquittoContext['log']): void {
  const unknown = (Object.keys(defaultLimits) as (keyof Limits)[]).filter(
    (name) => !knownLimits.has(name) && limits[name] !== defaultLimits[name],
  );
  if (unknown.length === 0) return;
  log.warn(
    { event: 'limits unknown', unknown },
    `Mosquitto knows no ${unknown.join(', ')}: these limits are the embedded broker's`,
  );
}

/** Mosquitto takes port 0 for a socket in the file system. */
async function findFreePort(host: string): Promise<number> {
  for (;;) {
    const port = drawServicePort();
    const problem = await new Promise<NodeJS.ErrnoException | undefined>((resolve) => {
      const server = createServer();
      server.once('error', resolve);
      server.listen(port, host, () => {
        server.close(() => {
          resolve(undefined);
        });
      });
    });
    if (problem === undefined) return port;
    if (problem.code !== 'EADDRINUSE') throw problem;
  }
}
