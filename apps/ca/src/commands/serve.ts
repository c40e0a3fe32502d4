// `keyline-ca serve`: both listeners until a signal.
import { rm, writeFile } from 'node:fs/promises';
import { KeylineError, messageOf } from '@keyline/kernel';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { createService } from '../wiring.ts';

export interface ServeOptions {
  readonly data: string;
  readonly config: string;
  readonly host: string;
  readonly port: number;
  readonly httpPort: number;
  readonly brokerUrl?: string;
  /** Written when both listeners serve. */
  readonly readyFile?: string;
}

/** Resolves when it was told to stop and everything is closed. @throws {KeylineError} */
export async function runServe(
  options: ServeOptions,
  given: { readonly log: Logger; readonly stop: AbortSignal },
): Promise<void> {
  const { log, stop } = given;
  const service = await createService({ ...options, brokerUrl: options.brokerUrl, log });
  try {
    await listen(service.http, options.host, options.httpPort);
    await listen(service.api, options.host, options.port);
    log.info(
      { api: options.port, http: options.httpPort },
      `The issuing CA serves https://${options.host}:${String(options.port)} (API) and http://${options.host}:${String(options.httpPort)} (CRL, OCSP).`,
    );
    if (options.readyFile !== undefined) await writeFile(options.readyFile, 'ready\n');
    await new Promise<void>((done) => {
      if (stop.aborted) done();
      else stop.addEventListener('abort', () => done(), { once: true });
    });
    log.info('Stopping.');
  } finally {
    if (options.readyFile !== undefined) await rm(options.readyFile, { force: true });
    await service.close();
  }
}

async function listen(app: FastifyInstance, host: string, port: number): Promise<void> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    throw new KeylineError(
      'USAGE',
      `Can't listen on ${host}:${String(port)}: ${messageOf(cause)}. Stop what listens there, or choose another port.`,
      { cause },
    );
  }
}
