// Puts the service together: authority, own certificates, followers, the two apps. Nothing here decides anything.
import { setInterval } from 'node:timers';
import type { ServerOptions } from 'node:https';
import type { Server as TlsServer } from 'node:tls';
import { createAlertFollower, loadAlertChannels } from '@keyline/alerts';
import { Duration, formatInstant, messageOf } from '@keyline/kernel';
import { startFollower, type Follower, type RunningFollower } from '@keyline/ledger';
import { createOcspResponder } from '@keyline/pki';
import { parseCertificate, type ParsedCertificate } from '@keyline/x509';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { createApiApp } from './api-app.ts';
import { createAuthenticator } from './authenticate.ts';
import { connectBroker } from './broker-target.ts';
import { createCrlPublisher } from './crl-publisher.ts';
import { createEffects, type TargetView } from './effects.ts';
import { createHttpApp } from './http-app.ts';
import { createMetrics } from './metrics.ts';
import { createOcspService } from './ocsp-service.ts';
import { openIssuing, type Issuing } from './open-issuing.ts';
import { createOwnCertificate, type OwnCertificates } from './own-certificates.ts';
import type { ServiceContext } from './service-context.ts';
import { certificatePem } from './views.ts';

export interface ServiceOptions {
  readonly data: string;
  readonly config: string;
  readonly host: string;
  /** mqtts:// URL, as devices get it and as the service itself reaches it; absent: no broker. */
  readonly brokerUrl: string | undefined;
  readonly log: Logger;
}

export interface Service {
  readonly api: FastifyInstance;
  readonly http: FastifyInstance;
  close(): Promise<void>;
}

const renewalCheck = Duration.minutes(1);
const crlCheck = Duration.seconds(10);

/** @throws {KeylineError} CONFIG_INVALID, STORE_*, FILE_*, KEY_DECRYPT_FAILED */
export async function createService(options: ServiceOptions): Promise<Service> {
  const { log, brokerUrl } = options;
  const issuing = await openIssuing(options);
  const { fleet, authority, config } = issuing;
  const { store, clock } = fleet;
  // What must end, in the reverse order of its making.
  const closers: (() => Promise<void> | void)[] = [() => store.close()];
  const close = async (): Promise<void> => {
    for (const closer of closers.toReversed()) await closer();
  };
  try {
    const own = await createOwnCertificates(issuing, options);
    const responder = (): ReturnType<typeof createOcspResponder> =>
      createOcspResponder({
        authority,
        responder: {
          certificateDer: own.ocsp.current().certificate.der,
          signer: own.ocsp.current().signer,
        },
      });
    let currentResponder = responder();
    const ocsp = createOcspService({
      store,
      clock,
      responder: () => currentResponder,
      validity: config.service.ocsp.validity,
    });
    closers.push(() => ocsp.close());
    const crl = await createCrlPublisher({
      store,
      clock,
      authority,
      schedule: config.service.crl,
    });
    // Brokers and devices must find one from the first moment.
    await crl.tick();

    const follow = async (follower: Follower): Promise<RunningFollower> => {
      const running = await startFollower({ store, follower, log });
      closers.push(() => running.stop());
      return running;
    };
    const crlFollower = await follow(crl);
    const targets: TargetView[] = [];
    if (brokerUrl !== undefined) {
      const broker = connectBroker({
        url: brokerUrl,
        roles: fleet.roles,
        credentials: () => brokerCredentials(issuing, own.broker),
        onConnect: () => running.wake(),
        log,
      });
      closers.push(() => broker.close());
      const running = await follow(broker.target);
      targets.push({
        ...running,
        acknowledgedAt: (device, seq) => broker.target.acknowledgedAt(device, seq),
      });
    }
    const root = parseCertificate(issuing.rootDer);
    const certificate = parseCertificate(issuing.certificateDer);
    const alerts = createAlertFollower({
      store,
      clock,
      rules: config.alerts,
      channels: await loadAlertChannels(config.alerts.channels, { log }),
      authorities: () => [
        { id: 'root', kind: 'root', notBefore: root.notBefore, notAfter: root.notAfter },
        {
          id: authority.id,
          kind: 'issuing',
          notBefore: certificate.notBefore,
          notAfter: certificate.notAfter,
        },
      ],
      crls: () => {
        const latest = crl.latest();
        return latest === undefined ? [] : [{ ...latest, interval: config.service.crl.interval }];
      },
      log,
    });
    closers.push(() => alerts.close());
    const alertFollower = await follow(alerts);
    await alerts.tick();

    const effects = createEffects({
      targets,
      crl,
      crlPosition: crlFollower,
      ocsp,
      authorityId: authority.id,
      clock,
    });
    const metrics = createMetrics({
      store,
      crl,
      followers: () => [crlFollower, alertFollower, ...targets],
      certificates: () => [
        { name: 'root', notAfter: root.notAfter },
        { name: authority.id, notAfter: certificate.notAfter },
        ...Object.values(own).map((kept) => {
          const { owner, notAfter } = kept.current().certificate;
          return { name: owner, notAfter };
        }),
      ],
    });
    closers.push(() => metrics.close());
    const context: ServiceContext = {
      fleet,
      effects,
      limits: config.service.limits,
      rateLimits: config.service.rateLimits,
      brokerUrl: brokerUrl ?? '',
      chain: [certificatePem(issuing.certificateDer)],
      trustBundle: certificatePem(issuing.rootDer),
      authorities: () => [
        viewAuthority({ id: 'root', role: 'root', certificate: root }),
        {
          ...viewAuthority({ id: authority.id, role: 'issuing', certificate }),
          crl: viewCrl(crl.latest(), authority.urls.crl),
        },
      ],
      health: async () => {
        const latest = crl.latest();
        const fresh = latest !== undefined && clock.now() < latest.nextUpdate;
        // Throws when the database does not answer, which is a 503 too.
        await store.countDevicesByState();
        return {
          status: fresh ? 'ok' : 'failing',
          checks: { database: 'ok', crl: fresh ? 'ok' : 'stale' },
        };
      },
    };
    const authenticator = createAuthenticator({ store, clock, profiles: fleet.profiles });
    closers.push(() => authenticator.close());
    const api = await createApiApp({
      service: context,
      authenticator,
      metrics,
      log,
      https: tlsOptions(issuing, own.api),
    });
    const http = createHttpApp({ service: context, authority, crl, ocsp, clock, log });
    closers.push(
      () => api.close(),
      () => http.close(),
    );

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
    every(crlCheck, 'publishing the CRL on schedule', () => crl.tick());
    every(config.alerts.evaluateEvery, 'evaluating alerts', () => alerts.tick());
    every(renewalCheck, "renewing the service's own certificates", async () => {
      if (await own.ocsp.renewIfDue()) currentResponder = responder();
      if (await own.api.renewIfDue()) {
        // New connections get the new certificate; open ones go on.
        (api.server as unknown as TlsServer).setSecureContext(tlsOptions(issuing, own.api));
      }
      // The next connection to the broker asks for its credentials anew.
      await own.broker.renewIfDue();
    });
    return { api, http, close };
  } catch (error) {
    await close();
    throw error;
  }
}

type OwnNames = 'api' | 'ocsp' | 'broker';

async function createOwnCertificates(
  { fleet, authority }: Issuing,
  { host }: Pick<ServiceOptions, 'host'>,
): Promise<Record<OwnNames, OwnCertificates>> {
  const isAddress = /^[\d.]+$/.test(host) || host.includes(':');
  return {
    api: await createOwnCertificate(fleet, {
      profile: 'service-server',
      name: 'api@keyline',
      dnsNames: ['localhost', ...(isAddress ? [] : [host])],
      ipAddresses: [...new Set(['127.0.0.1', ...(isAddress ? [host] : [])])],
    }),
    ocsp: await createOwnCertificate(fleet, {
      profile: 'ocsp-responder',
      name: `ocsp.${authority.id}@keyline`,
    }),
    broker: await createOwnCertificate(fleet, {
      profile: 'service-client',
      name: 'keyline@service',
    }),
  };
}

/** Client certificates are asked for and judged per request: whether one is needed depends on the route. */
function tlsOptions(issuing: Issuing, own: OwnCertificates): ServerOptions {
  const { certificate, privateKey } = own.current();
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: chainOf(issuing, certificate.der),
    // What clients may present; an expired one must get through to renew itself.
    ca: [issuing.certificateDer, issuing.rootDer].map(certificatePem),
    requestCert: true,
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
  };
}

function brokerCredentials(
  issuing: Issuing,
  own: OwnCertificates,
): { ca: string; cert: string; key: string } {
  const { certificate, privateKey } = own.current();
  return {
    ca: certificatePem(issuing.rootDer),
    cert: chainOf(issuing, certificate.der),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
  };
}

function chainOf({ certificateDer }: Issuing, leafDer: Uint8Array): string {
  return certificatePem(leafDer) + certificatePem(certificateDer);
}

type AuthorityView = ReturnType<ServiceContext['authorities']>[number];

function viewAuthority(given: {
  id: string;
  role: AuthorityView['role'];
  certificate: ParsedCertificate;
}): AuthorityView {
  const { certificate, ...rest } = given;
  return {
    ...rest,
    subject: certificate.commonName ?? '',
    serial: certificate.serial,
    notBefore: formatInstant(certificate.notBefore),
    notAfter: formatInstant(certificate.notAfter),
    certificate: certificatePem(certificate.der),
    crl: null,
  };
}

function viewCrl(
  latest: { number: number; thisUpdate: number; nextUpdate: number } | undefined,
  url: string,
): AuthorityView['crl'] {
  return latest === undefined
    ? null
    : {
        url,
        number: latest.number,
        thisUpdate: formatInstant(latest.thisUpdate),
        nextUpdate: formatInstant(latest.nextUpdate),
      };
}
