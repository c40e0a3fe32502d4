// Who the service is in TLS: its own server certificate towards callers, its own client certificate towards the broker.
import { constants } from 'node:crypto';
import type { ServerOptions } from 'node:https';
import {
  type Authorities,
  createOwnCertificate,
  type OwnCertificates,
  type OwnCertificateSpec,
} from '@keyline/authorities';
import { brokerAdminName } from '@keyline/fleet';
import { isIP } from 'node:net';
import type { Issuing } from './open-issuing.ts';
import { certificatePem } from './views.ts';

export interface OwnTls {
  readonly api: OwnCertificates;
  readonly broker: OwnCertificates;
}

/** Names and addresses by which the service is called. */
export function serverNamesOf(hosts: readonly string[]): readonly string[] {
  return [...new Set(['localhost', '127.0.0.1', ...hosts])];
}

/**
 * Where the authority that issues them is revoked and no other took its place, they are still of that one: an administrator must get
 * in to install another. Whoever reads the root's CRL refuses them.
 */
export async function createOwnTls(
  { fleet, authorities }: Pick<Issuing, 'fleet' | 'authorities'>,
  names: readonly string[],
): Promise<OwnTls> {
  const create = (spec: OwnCertificateSpec): Promise<OwnCertificates> =>
    createOwnCertificate(fleet, spec, {
      issuer: () => authorities.lastResortFor(spec.profile),
      isRevoked: (id) => authorities.revocationOf(id) !== undefined,
    });
  return {
    api: await create({
      profile: 'service-server',
      name: 'api@keyline',
      dnsNames: names.filter((name) => isIP(name) === 0),
      ipAddresses: names.filter((name) => isIP(name) !== 0),
    }),
    broker: await create({ profile: 'service-client', name: brokerAdminName }),
  };
}

/** Oldest version of TLS that is spoken. */
export type TlsVersion = '1.2' | '1.3';

/** Of TLS 1.2 only what has forward secrecy and authenticated encryption (RFC 9325 §4.2); CCM is what the smallest stacks have. */
const ciphers = [
  ...['TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256', 'TLS_AES_128_GCM_SHA256'],
  ...['ECDSA-AES128-GCM-SHA256', 'RSA-AES128-GCM-SHA256'].map((name) => `ECDHE-${name}`),
  ...['ECDSA-AES256-GCM-SHA384', 'RSA-AES256-GCM-SHA384'].map((name) => `ECDHE-${name}`),
  ...['ECDSA-CHACHA20-POLY1305', 'RSA-CHACHA20-POLY1305'].map((name) => `ECDHE-${name}`),
  ...['ECDHE-ECDSA-AES128-CCM', 'ECDHE-ECDSA-AES256-CCM'],
].join(':');

export interface ApiTls {
  readonly version: TlsVersion;
  /** Milliseconds from the connection to the end of the handshake. */
  readonly handshakeTime: number;
}

/** Client certificates are asked for here and judged per request: whether one is needed depends on the route. */
export function serverOptions(
  authorities: Authorities,
  own: OwnCertificates,
  { version, handshakeTime }: ApiTls,
): ServerOptions {
  return {
    ...keyAndChain(authorities, own),
    ca: [...authorities.all().map(({ pem }) => pem), ...trustPems(authorities)],
    requestCert: true,
    // An expired certificate must get through to renew itself.
    rejectUnauthorized: false,
    minVersion: `TLSv${version}`,
    ciphers,
    // A handshake within a connection costs the peer nothing and the service much; Node by itself only reports it.
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    handshakeTimeout: handshakeTime,
  };
}

export function clientCredentials(
  authorities: Authorities,
  own: OwnCertificates,
): { ca: string; cert: string; key: string } {
  return { ca: trustPems(authorities).join(''), ...keyAndChain(authorities, own) };
}

export function trustPems(authorities: Pick<Authorities, 'trust'>): string[] {
  return authorities.trust().map(({ der }) => certificatePem(der));
}

function keyAndChain(
  authorities: Authorities,
  own: OwnCertificates,
): { key: string; cert: string } {
  const { certificate, privateKey } = own.current();
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    cert: certificatePem(certificate.der) + authorities.get(certificate.authority).pem,
  };
}
