// Pages of other sites can make a browser send what its user may send, client certificate included. Changes are taken from no such page.
import { KeylineError } from '@keyline/kernel';
import type { FastifyRequest } from 'fastify';

export interface OwnOrigins {
  /** Names and addresses of this service, as its certificate has them. */
  readonly hostNames: readonly string[];
  /** Origins of other pages that may call, `https://console.example.org`. */
  readonly allowed: readonly string[];
}

const safe: readonly string[] = ['GET', 'HEAD', 'OPTIONS', 'TRACE'];

/**
 * Programs send neither header and pass. A page of this service passes: its origin is "https://" and the Host it called, which must be a name
 * of the service (a name that an attacker's DNS points here is not). RFC 6454 §7: the origin "null" is nobody's.
 * @throws {KeylineError} FORBIDDEN
 */
export function assertOwnOrigin(
  request: Pick<FastifyRequest, 'method' | 'headers'>,
  own: OwnOrigins,
): void {
  if (safe.includes(request.method)) return;
  const { origin, host } = request.headers;
  const site = request.headers['sec-fetch-site'];
  if (origin !== undefined) {
    if (own.allowed.includes(origin)) return;
    if (!isOwn(origin, host, own.hostNames)) throw foreign(origin);
  }
  // https://www.w3.org/TR/fetch-metadata/: "none" is the user's own doing, not a page's.
  if (site !== undefined && site !== 'same-origin' && site !== 'none') throw foreign(site);
}

function isOwn(origin: string, host: string | undefined, names: readonly string[]): boolean {
  if (host === undefined || origin.toLowerCase() !== `https://${host.toLowerCase()}`) return false;
  const name = URL.parse(origin)?.hostname.replace(/^\[|\]$/g, '');
  return name !== undefined && names.some((own) => own.toLowerCase() === name);
}

function foreign(from: string): KeylineError {
  return new KeylineError(
    'FORBIDDEN',
    `Changes are not taken from pages of another origin ("${from.slice(0, 100)}"). A console of your own is named in "origins" of ca-config/service.yaml.`,
  );
}
