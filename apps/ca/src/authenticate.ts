// Who is calling: the client certificate of the connection, or a bearer token. Proof here, permission in the route table.
import { TLSSocket } from 'node:tls';
import { routes, type Admits, type RouteContract } from '@keyline/api';
import type { Authorities } from '@keyline/authorities';
import {
  hashToken,
  holdStranger,
  noteUse,
  signerOf,
  type Caller,
  type CallerRole,
  type FleetContext,
  type Certificate,
  type Store,
} from '@keyline/fleet';
import { freshen, type Feed, type LedgerEntry } from '@keyline/ledger';
import {
  isDeviceId,
  KeylineError,
  parseDuration,
  parseSerialHex,
  type Clock,
} from '@keyline/kernel';
import type { Profiles } from '@keyline/pki';
import { parseCertificate, type ParsedCertificate } from '@keyline/x509';
import type { FastifyRequest } from 'fastify';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the guard of every route that asks for proof. */
    caller: Caller | undefined;
    /** The authenticator's epoch at the proof. */
    proofEpoch: number;
  }
}

/** Milliseconds for which the ledger may go unheard: after that nothing is believed from memory. */
const bound = 500;
const renewUrl = routes.renew.url;

export interface Authenticator {
  /** @throws {KeylineError} UNAUTHENTICATED, CERTIFICATE_NOT_ACCEPTED, FORBIDDEN */
  authorize(
    request: FastifyRequest,
    route: Pick<RouteContract, 'method' | 'url' | 'admits'>,
  ): Promise<Caller | undefined>;
  /** Grows when a certificate or an API token has ended: what was proved before must be proved anew. */
  epoch(): number;
}

export function createAuthenticator(options: {
  store: Store;
  clock: Clock;
  profiles: Profiles;
  types: FleetContext['types'];
  feed: Pick<Feed, 'join'>;
  authorities: Pick<Authorities, 'all' | 'revocationOf' | 'view'>;
}): Authenticator {
  const { store, feed, clock, profiles, types, authorities } = options;
  // A connection keeps its certificate; the row is read again only after something was revoked.
  const seen = new WeakMap<object, { certificate: Certificate; epoch: number }>();
  let epoch = 0;
  const view = feed.join({
    name: 'proofs',
    state: undefined,
    apply(_state, entries) {
      if (entries.some(endsProofs)) epoch++;
    },
  });

  async function certificateOf(socket: TLSSocket): Promise<Certificate | undefined> {
    const known = seen.get(socket);
    // When the ledger was not heard for a while, the row itself says what became of it.
    if (known?.epoch === epoch && view.isFresh(bound)) return known.certificate;
    const epochBefore = epoch;
    // What the peer presented and what was issued do not change; only what became of it does.
    const certificate =
      known === undefined
        ? await findPresented(socket)
        : await store.findCertificate(known.certificate.serial);
    if (certificate !== undefined) seen.set(socket, { certificate, epoch: epochBefore });
    return certificate;
  }

  async function findPresented(socket: TLSSocket): Promise<Certificate | undefined> {
    const peer = socket.getPeerX509Certificate();
    if (peer === undefined) return undefined;
    const certificate = await store.findCertificate(parseSerialHex(peer.serialNumber));
    // Byte equality with what was issued: no look-alike from another CA, however the chain was judged.
    if (certificate === undefined || !peer.raw.equals(certificate.der)) {
      if (await isHeld(socket, peer.raw, certificate)) {
        throw new KeylineError(
          'CERTIFICATE_NOT_ACCEPTED',
          `The client certificate (serial ${peer.serialNumber.toLowerCase()}) is signed by an authority of this Keyline and is not on record here. It is held until an administrator adopts it (keyline quarantine list).`,
        );
      }
      throw new KeylineError(
        'CERTIFICATE_NOT_ACCEPTED',
        `The client certificate (serial ${peer.serialNumber.toLowerCase()}) was not issued by this CA. Use one that was enrolled here.`,
      );
    }
    return certificate;
  }

  /** One that our own key has signed and nobody has issued is an alarm; anybody else's is nobody's concern. */
  async function isHeld(
    socket: TLSSocket,
    der: Uint8Array,
    known: Certificate | undefined,
  ): Promise<boolean> {
    const presented = parseOrNothing(der);
    const identity = presented?.commonName;
    // A name that no certificate of ours has is not written down.
    if (presented === undefined || identity === undefined || !/^[\w.:@-]{1,64}$/.test(identity)) {
      return false;
    }
    const authority = signerOf(presented, authorities.all());
    if (authority === undefined) return false;
    // Revoked, and only its serial is known.
    if (known?.state === 'revoked') return false;
    await holdStranger(
      { store, clock },
      {
        ...{ serial: presented.serial, identity, der, authority, seenBy: 'api' },
        address: socket.remoteAddress ?? '',
      },
    );
    return true;
  }

  function assertUsable(certificate: Certificate, url: string): void {
    const now = clock.now();
    if (certificate.state === 'revoked') {
      throw new KeylineError(
        'CERTIFICATE_NOT_ACCEPTED',
        `The client certificate ${certificate.serial} is revoked (${certificate.reason ?? 'unspecified'}).`,
        { context: { owner: certificate.owner } },
      );
    }
    const profile = profiles.get(certificate.profile);
    const ended = authorities.revocationOf(certificate.authority);
    // An administrator must get in to install another authority. It is known by the bytes of its certificate here, not by the
    // authority's signature, so nobody else becomes one with that authority's key.
    if (ended !== undefined && profile?.apiRole !== 'admin') {
      throw new KeylineError(
        'CERTIFICATE_NOT_ACCEPTED',
        `The client certificate ${certificate.serial} is of the authority "${certificate.authority}", which its root revoked (${ended.reason}). Get one of another authority.`,
        { context: { owner: certificate.owner } },
      );
    }
    // An expired certificate may still renew itself for the grace its profile gives.
    const grace = url === renewUrl && profile ? parseDuration(profile.renewal.grace) : 0;
    if (now < certificate.notBefore || now > certificate.notAfter + grace) {
      throw new KeylineError(
        'CERTIFICATE_NOT_ACCEPTED',
        `The client certificate ${certificate.serial} is not valid now (${new Date(certificate.notBefore).toISOString()} to ${new Date(certificate.notAfter).toISOString()}).`,
      );
    }
  }

  async function callerOfToken(secret: string): Promise<Caller> {
    const token = await store.findApiTokenByHash(hashToken(secret));
    if (token === undefined || token.revokedAt !== null) {
      throw new KeylineError('UNAUTHENTICATED', 'The API token is not known here, or was revoked.');
    }
    if (clock.now() >= token.expiresAt) {
      throw new KeylineError('UNAUTHENTICATED', `The API token ${token.id} has expired.`);
    }
    return { role: token.role, name: token.id, via: 'token' };
  }

  async function authenticate(request: FastifyRequest): Promise<Caller> {
    const authorization = request.headers.authorization;
    if (authorization !== undefined) {
      const secret = bearerOf(request);
      if (secret === undefined) {
        throw new KeylineError(
          'UNAUTHENTICATED',
          'Send the API token as "Authorization: Bearer …".',
        );
      }
      return callerOfToken(secret);
    }
    const { socket } = request.raw;
    const certificate = socket instanceof TLSSocket ? await certificateOf(socket) : undefined;
    if (certificate === undefined) {
      throw new KeylineError(
        'UNAUTHENTICATED',
        'Present a client certificate in TLS (curl --cert … --key …), or an API token (Authorization: Bearer …).',
      );
    }
    const url = request.routeOptions.url ?? '';
    await freshen(authorities.view, bound);
    assertUsable(certificate, url);
    const caller = {
      role: roleOf(certificate, profiles),
      name: certificate.owner,
      via: 'certificate',
      certificate,
    } as const;
    // Renewing judges by itself what an old certificate may still do.
    if ((caller.role === 'device' || caller.role === 'service') && url !== renewUrl) {
      await noteUse({ store, clock, types }, { ...caller, address: request.ip });
    }
    return caller;
  }

  return {
    async authorize(request, route) {
      const admits: readonly Admits[] = route.admits;
      if (admits.includes('anyone')) return undefined;
      const caller = await authenticate(request);
      if (!admits.includes(caller.role)) {
        throw new KeylineError(
          'FORBIDDEN',
          `${route.method} ${route.url} is for ${admits.join(', ')}; "${caller.name}" is ${caller.role}.`,
          { context: { owner: caller.name } },
        );
      }
      return { ...caller, address: request.ip };
    },
    epoch() {
      // What was proved is not known to hold any more.
      if (!view.isFresh(bound)) epoch++;
      return epoch;
    },
  };
}

/** The token of an Authorization header, when it has that form. */
export function bearerOf({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
  const { authorization } = headers;
  return authorization === undefined ? undefined : /^Bearer (\S{1,200})$/i.exec(authorization)?.[1];
}

function endsProofs({ data }: LedgerEntry): boolean {
  return (
    'serials' in data ||
    data.kind === 'certificate-revoked' ||
    data.kind === 'token-revoked' ||
    data.kind === 'authority-revoked'
  );
}

/** @throws {KeylineError} FORBIDDEN for certificates that give no access to the API (servers, OCSP responders). */
function roleOf(certificate: Certificate, profiles: Profiles): CallerRole {
  const profile = profiles.get(certificate.profile);
  if (profile?.apiRole !== undefined) return profile.apiRole;
  // Services that were made as such renew, and read themselves; names with an "@" are of certificates that an operator asked for alone.
  if (profile?.kind === 'service' && isDeviceId(certificate.owner)) return 'service';
  throw new KeylineError(
    'FORBIDDEN',
    `A certificate of the profile "${certificate.profile}" gives no access to the API.`,
  );
}

function parseOrNothing(der: Uint8Array): ParsedCertificate | undefined {
  try {
    return parseCertificate(der);
  } catch {
    // Whatever it is, none of our authorities made it.
    return undefined;
  }
}
