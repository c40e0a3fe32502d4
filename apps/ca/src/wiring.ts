// Puts the service together: authorities, own certificates, followers, the two apps. Nothing here decides anything.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import type { Server as TlsServer } from 'node:tls';
import { changesAuthorities, type OwnCertificates } from '@keyline/authorities';
import type { Crl } from '@keyline/fleet';
import { Duration, messageOf, type Clock } from '@keyline/kernel';
import {
  createLeases,
  startLeasedFollower,
  type LeasedFollower,
  type LedgerEntry,
  type RunningLeasedFollower,
} from '@keyline/ledger';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { createAddresses } from './addresses.ts';
import { createChannelViews } from './alert-channels.ts';
import { createApiApp } from './api-app.ts';
import { createRoleApplication } from './apply-roles.ts';
import { createAuthenticator } from './authenticate.ts';
import { createBrokerDirectory } from './broker-directory.ts';
import { createBrokerFiles } from './broker-files.ts';
import { createPresenceViews } from './broker-presence.ts';
import { caFolderOf } from './ca-folder.ts';
import { openDiskReserve } from './disk-reserve.ts';
import { createEffects } from './effects.ts';
import { createFairWork } from './fair-work.ts';
import { createHealth } from './health.ts';
import { createHttpApp } from './http-app.ts';
import { createMetrics } from './metrics.ts';
import { openIssuing } from './open-issuing.ts';
import { findApi, findPlain } from './other-listener.ts';
import { createRefusalLog } from './refusal-log.ts';
import { createSecondAdministrator } from './second-administrator.ts';
import type { ServiceContext } from './service-context.ts';
import { startAlerts, watchedAuthorities } from './start-alerts.ts';
import { startJobs } from './start-jobs.ts';
import { startStatus } from './start-status.ts';
import { startTargets } from './start-targets.ts';
import { reportTlsFailures } from './tls-failures.ts';
import { createOwnTls, serverNamesOf, serverOptions, type TlsVersion } from './tls-identity.ts';

export interface ServiceOptions {
  readonly data: string;
  readonly config: string;
  /** Stands in the API's certificate. */
  readonly host: string;
  /** Stand in it too. */
  readonly otherNames?: readonly string[] | undefined;
  readonly tlsVersion: TlsVersion;
  /** mqtts:// URL, as devices get it; absent: no broker. */
  readonly brokerUrl: string | undefined;
  /** wss:// URL of the same broker, where it has one. */
  readonly brokerWebsocketUrl?: string | undefined;
  /** As the service itself reaches it, when that is another. */
  readonly brokerInnerUrl?: string | undefined;
  /** Other services of this machine have the same folder open at the same time. */
  readonly shared?: boolean | undefined;
  readonly log: Logger;
  /** Absent: the machine's. */
  readonly clock?: Clock | undefined;
}

export interface Service {
  readonly api: FastifyInstance;
  readonly http: FastifyInstance;
  close(): Promise<void>;
}

const renewalCheck = Duration.minutes(1);
const crlCheck = Duration.seconds(10);
const reserveCheck = Duration.seconds(2);
/** Well below what a supervisor waits before it kills. */
const stopPatience = Duration.seconds(5);

/** @throws {KeylineError} CONFIG_INVALID, STORE_*, FILE_*, KEY_DECRYPT_FAILED */
export async function createService(options: ServiceOptions): Promise<Service> {
  const { log, brokerUrl, brokerInnerUrl = brokerUrl, shared: isShared = false } = options;
  const issuing = await openIssuing(options);
  const { feed, fleet, authorities, keys, config, access } = issuing;
  const { store, clock } = fleet;
  const { behindAfter } = config.service.brokers;
  // What must end, in the reverse order of its making.
  const closers: (() => Promise<void> | void)[] = [() => issuing.close()];
  const close = async (): Promise<void> => {
    for (const closer of closers.toReversed()) await closer();
  };
  const every = (milliseconds: number, what: string, work: () => Promise<void>): void => {
    const timer = setInterval(() => {
      work().catch((error: unknown) => {
        log.error({ err: error }, `${what} failed, and is tried again: ${messageOf(error)}`);
      });
    }, milliseconds);
    closers.push(() => {
      clearInterval(timer);
    });
  };
  try {
    const reserve = await openDiskReserve({
      folder: caFolderOf(options.data).path,
      bytes: config.service.storage.reserveBytes,
      log,
    });
    const leases = createLeases({
      ...{ store, clock, log },
      holder: `${hostname()}:${randomUUID()}`,
      alone: !isShared,
    });
    closers.push(() => leases.close());
    const names = serverNamesOf([options.host, ...(options.otherNames ?? [])]);
    const own = await createOwnTls(issuing, names);
    const follow = async (follower: LeasedFollower): Promise<RunningLeasedFollower> => {
      const running = await startLeasedFollower({
        ...{ store, feed, leases, follower, log },
        // Those that wait beside another service see how far it is by its cursor.
        ...(isShared ? { saveInterval: 50 } : {}),
      });
      closers.push(() => running.stop());
      return running;
    };
    const closeWith = (closer: () => Promise<void> | void): void => {
      closers.push(closer);
    };
    const { responders, ocsp, crl, crlFollower } = await startStatus({
      ...{ issuing, data: options.data, follow, closeWith, log },
    });
    const brokerFiles = createBrokerFiles(caFolderOf(options.data), { shared: isShared });
    const targets = await startTargets({
      ...{ issuing, own: own.broker, brokerFiles, brokerInnerUrl },
      ...{ follow, every, closeWith, log },
    });
    /** Complete CRLs in force: of the authorities, and of the roots where one was brought. */
    const crls = (): Crl[] =>
      [...authorities.all(), ...authorities.roots()].flatMap(
        ({ id }) => crl.latest(id, 'complete') ?? [],
      );
    const { alerts, channels, alertFollowers } = await startAlerts({
      ...{ issuing, leases, follow, targets, crl, crls, reserve, closeWith, log },
      folder: caFolderOf(options.data).path,
    });

    const jobs = await startJobs({ fleet, leases, log });
    const effects = createEffects({ targets, crl, crlPosition: crlFollower, store });
    const ownCertificates = (): readonly OwnCertificates[] => [
      own.api,
      own.broker,
      ...responders.own(),
    ];
    const metrics = createMetrics({
      store,
      feed,
      crls,
      reserve,
      followers: () => [crlFollower, ...alertFollowers, ...targets],
      targets: () => targets,
      certificates: () => [
        ...watchedAuthorities(authorities).map(({ id, notAfter }) => ({ name: id, notAfter })),
        ...ownCertificates().map((kept) => {
          const { owner, notAfter } = kept.current().certificate;
          return { name: owner, notAfter };
        }),
      ],
    });
    const authenticator = createAuthenticator({
      store,
      feed,
      clock,
      profiles: fleet.profiles,
      types: fleet.types,
      authorities,
    });
    const apiTls = {
      version: options.tlsVersion,
      handshakeTime: config.service.listeners.headerTime,
    };
    const swapServerTls = (): void => {
      // New connections get it; open ones go on.
      (api.server as unknown as TlsServer).setSecureContext(
        serverOptions(authorities, own.api, apiTls),
      );
    };
    const renewOwn = async (): Promise<void> => {
      await responders.refresh();
      if (await own.api.renewIfDue()) swapServerTls();
      // Brokers that are connected go on with the old one, which may be refused any moment.
      if (await own.broker.renewIfDue()) await Promise.all(targets.map((one) => one.reconnect()));
    };
    let changing: Promise<void> = Promise.resolve();
    /** One after the other: the ledger tells of what a route waits for as well. */
    const authoritiesChanged = (): Promise<void> => {
      const changed = changing.then(async () => {
        await authorities.reload();
        brokerFiles.announceAuthorities(authorities);
        await renewOwn();
        await crl.tick();
        swapServerTls();
      });
      changing = changed.catch(() => undefined);
      return changed;
    };
    const service: ServiceContext = {
      fleet,
      effects,
      jobs,
      presence: createPresenceViews({
        ...{ store, clock },
        targets: targets.map(({ name }) => name),
      }),
      access,
      roleApplication: createRoleApplication({
        ...{ fleet, access, targets, feed, log },
        patience: config.service.limits.effectWait,
      }),
      limits: config.service.limits,
      rateLimits: config.service.rateLimits,
      brokers: await createBrokerDirectory({
        bundled:
          brokerUrl === undefined
            ? undefined
            : { url: brokerUrl, websocketUrl: options.brokerWebsocketUrl },
        ...{ targets: config.targets, types: fleet.types, log },
      }),
      reserve,
      listeners: config.service.listeners,
      origins: { hostNames: names, allowed: config.service.origins },
      authorities,
      second: createSecondAdministrator(fleet, config.service.authorities),
      keys,
      crl,
      rootCrlUrl: (root) => issuing.urlsOf(root).crl,
      authoritiesChanged,
      alertChannels: createChannelViews(
        channels.flatMap((channel, index) => {
          const follower = alertFollowers[index];
          return follower === undefined ? [] : [{ channel, follower }];
        }),
      ),
      addresses: createAddresses({
        ...{ settings: issuing.settings, names, brokerUrl, authorities, clock },
      }),
      health: createHealth({ store, clock, authorities, crl, targets, behindAfter, reserve }),
    };
    const https = serverOptions(authorities, own.api, apiTls);
    const refusals = createRefusalLog({ log, clock, count: (code) => metrics.refused(code) });
    const work = createFairWork();
    closers.push(() => {
      work.close();
    });
    const shared = { service, metrics, log, refusals, work };
    const apps: { plain?: FastifyInstance } = {};
    const api = await createApiApp({
      ...{ ...shared, authenticator, https },
      findElsewhere: findPlain({ scheme: 'http', app: () => apps.plain, hostNames: names }),
    });
    reportTlsFailures(api.server as unknown as TlsServer, { refusals, metrics });
    const http = createHttpApp({
      ...shared,
      ...{ authorities, crl, ocsp, clock, limits: config.service.listeners },
      findElsewhere: findApi({ scheme: 'https', app: () => api, hostNames: names }),
    });
    apps.plain = http;
    closers.push(
      () => closeApp(api),
      () => closeApp(http),
    );

    every(crlCheck, 'publishing the CRL on schedule', () => crl.tick());
    every(reserveCheck, 'looking at the free disk space', async () => {
      const before = reserve.isLow();
      await reserve.tick();
      // Whoever can make room is told at once.
      if (reserve.isLow() !== before) await alerts.tick();
    });
    every(config.alerts.evaluateEvery, 'evaluating alerts', () => alerts.tick());
    every(renewalCheck, "renewing the service's own certificates", renewOwn);
    // One that was revoked, or whose authority was, is replaced at once; what another service changed holds here too.
    feed.join({
      name: 'own certificates',
      state: undefined,
      apply(_state, entries) {
        const follows = entries.some(changesAuthorities)
          ? authoritiesChanged()
          : entries.some(({ data }) => endsOneOf(data, ownCertificates()))
            ? renewOwn()
            : undefined;
        follows?.catch((error: unknown) => {
          log.error(
            { err: error },
            `The service's own certificates were not replaced, and are tried again: ${messageOf(error)}`,
          );
        });
      },
    });
    return { api, http, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function endsOneOf(data: LedgerEntry['data'], own: readonly OwnCertificates[]): boolean {
  if (data.kind === 'authority-revoked') return true;
  if (data.kind !== 'certificate-revoked') return false;
  return own.some((one) => one.current().certificate.serial === data.serial);
}

/** Requests under way are answered; who never ends one (a stream that stays open) is not waited for. */
async function closeApp(app: FastifyInstance): Promise<void> {
  const cut = setTimeout(() => {
    app.server.closeAllConnections();
  }, stopPatience);
  await app.close();
  clearTimeout(cut);
}
