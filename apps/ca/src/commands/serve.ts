// `keyline-ca serve`: both listeners until a signal.
import { sayReady, takeBackReady, untilAborted } from '@keyline/process';
import type { Logger } from 'pino';
import { listenAlsoOn, listenOn } from '../listen.ts';
import type { TlsVersion } from '../tls-identity.ts';
import { createService } from '../wiring.ts';

export interface ServeOptions {
  readonly data: string;
  readonly config: string;
  /** Name or address by which the service is called: it stands in the API's certificate. */
  readonly host: string;
  /** Stand in it too. */
  readonly otherName: readonly string[];
  /** Addresses to listen on; none: the host. */
  readonly listen: readonly string[];
  readonly tlsVersion: TlsVersion;
  readonly port: number;
  readonly httpPort: number;
  /** Answer as that does: certificates of before the service moved name them. */
  readonly otherHttpPort: readonly number[];
  readonly brokerUrl?: string;
  readonly brokerWebsocketUrl?: string;
  readonly brokerInnerUrl?: string;
  /** Beside other services on the same folder, each started so. */
  readonly shareDatabase?: boolean;
  /** Written when both listeners serve. */
  readonly readyFile?: string;
}

/** Resolves when it was told to stop and everything is closed. @throws {KeylineError} */
export async function runServe(
  options: ServeOptions,
  given: { readonly log: Logger; readonly stop: AbortSignal },
): Promise<void> {
  const { log, stop } = given;
  const service = await createService({
    ...options,
    otherNames: options.otherName,
    brokerUrl: options.brokerUrl,
    brokerInnerUrl: options.brokerInnerUrl,
    shared: options.shareDatabase,
    log,
  });
  try {
    const addresses = options.listen.length === 0 ? [options.host] : options.listen;
    await listenOn(service.http, addresses, options.httpPort);
    for (const port of options.otherHttpPort) await listenAlsoOn(service.http, addresses, port);
    await listenOn(service.api, addresses, options.port);
    const name = options.host.includes(':') ? `[${options.host}]` : options.host;
    log.info(
      { api: options.port, http: options.httpPort, listen: addresses },
      `The issuing CA serves https://${name}:${String(options.port)} (API) and http://${name}:${String(options.httpPort)} (CRL, OCSP).`,
    );
    await sayReady(options.readyFile);
    await untilAborted(stop);
    log.info('Stopping.');
  } finally {
    await takeBackReady(options.readyFile);
    await service.close();
  }
}
