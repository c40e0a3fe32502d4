// Whoever knocks at the wrong one of the two listeners is told which the other is.
import type { AddressInfo } from 'node:net';
import type { FastifyInstance, FastifyRequest } from 'fastify';

/** What is said of a path that is not here, or not with this method; undefined: nothing more. */
export type FindElsewhere = (request: FastifyRequest) => string | undefined;

interface OtherListenerOptions {
  readonly scheme: 'https' | 'http';
  /** Read when it is asked for: it listens later than this one is made. */
  readonly app: () => FastifyInstance | undefined;
  /** Names that this service is called by; the first is taken where a caller has called another. */
  readonly hostNames: readonly string[];
}

const ofPlain = /^\/(?:crl|aia|ocsp)(?:\/|$)/;
const ofApi = /^\/(?:v1|docs|openapi\.json|metrics)(?:\/|$)/;

/** For the plain listener, which has nothing of the API but the trust bundle. */
export function findApi(options: OtherListenerOptions): FindElsewhere {
  return (request) => {
    const origin = originOf(options, request);
    const path = pathOf(request.url);
    const where =
      origin === undefined
        ? 'the API has a port of its own, with TLS'
        : `the API is at ${origin}${ofApi.test(path) ? path : ''}`;
    return `This is the plain HTTP listener, for CRLs (/crl), OCSP (/ocsp), certificates of authorities (/aia) and the trust bundle (/v1/trust-bundle); ${where}.`;
  };
}

/** For the API. */
export function findPlain(options: OtherListenerOptions): FindElsewhere {
  return (request) => {
    const path = pathOf(request.url);
    if (!ofPlain.test(path)) return undefined;
    const origin = originOf(options, request);
    return `CRLs, OCSP and the certificates of authorities are on the plain HTTP listener${origin === undefined ? '' : `: ${origin}${path}`}.`;
  };
}

function originOf(
  { scheme, app, hostNames }: OtherListenerOptions,
  { hostname }: FastifyRequest,
): string | undefined {
  const address = app()?.server.address() as AddressInfo | null | undefined;
  const called = hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const host = hostNames.find((name) => name.toLowerCase() === called) ?? hostNames[0];
  if (address === null || address === undefined || host === undefined) return undefined;
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${String(address.port)}`;
}

/** What a caller wrote, short and on one line. */
function pathOf(url: string): string {
  return (url.split('?', 1)[0] ?? '').slice(0, 200);
}
