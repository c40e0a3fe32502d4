// Where the service is and who calls: from options, the environment or endpoints.json, in that order.
import { resolve } from 'node:path';
import type { Endpoints } from '@keyline/api';
import {
  createClient,
  loadCertificateCaller,
  parseApiUrl,
  parseEndpoints,
  type ApiClient,
  type Caller,
  type ServiceLocation,
} from '@keyline/client';
import { readSecretFile, readText, readTextIfThere } from '@keyline/files';
import { KeylineError, Secret } from '@keyline/kernel';
import type { ClientOptions, LocationOptions } from './command-line/client-options.ts';
import type { CliContext } from './context.ts';

/**
 * @throws {KeylineError} SERVICE_UNREACHABLE when nothing says where it is, USAGE, FILE_NOT_FOUND, FILE_UNREADABLE
 */
export async function findService(
  context: CliContext,
  options: LocationOptions,
): Promise<ServiceLocation> {
  const api = namedApi(context, options);
  if (api !== undefined) {
    const ca = options.ca ?? variable(context, 'KEYLINE_CA');
    if (ca === undefined) {
      throw new KeylineError(
        'USAGE',
        'Give --ca FILE with --api (or KEYLINE_CA with KEYLINE_API): the trust anchors of the service.',
      );
    }
    return {
      api: parseApiUrl(api),
      caPem: await readText(resolve(context.cwd, ca), 'the trust anchors (--ca)'),
      endpoints: undefined,
    };
  }
  const endpoints = await loadEndpoints(context, options.endpoints);
  const caFile = options.ca === undefined ? endpoints.ca : resolve(context.cwd, options.ca);
  return {
    api: parseApiUrl(endpoints.api),
    caPem: await readText(caFile, 'the trust anchors'),
    endpoints,
  };
}

/**
 * The caller: --cert and --key, --token-file, KEYLINE_TOKEN, else the admin of endpoints.json.
 * @throws {KeylineError} USAGE, FILE_NOT_FOUND, FILE_UNREADABLE
 */
export async function findCaller(
  context: CliContext,
  options: ClientOptions,
  endpoints: Endpoints | undefined,
): Promise<Caller> {
  if ((options.cert === undefined) !== (options.key === undefined)) {
    throw new KeylineError('USAGE', 'Give --cert and --key together.');
  }
  if (options.cert !== undefined && options.key !== undefined) {
    return loadCertificateCaller(
      resolve(context.cwd, options.cert),
      resolve(context.cwd, options.key),
    );
  }
  if (options.tokenFile !== undefined) {
    const token = await readSecretFile(context.cwd, options.tokenFile, 'API token file');
    return { via: 'token', token: new Secret(token) };
  }
  const fromEnvironment = variable(context, 'KEYLINE_TOKEN');
  if (fromEnvironment !== undefined) {
    // A file in the folder of the moment may be anybody's, and would say where the token goes.
    if (namedApi(context, options) === undefined) {
      throw new KeylineError(
        'USAGE',
        'KEYLINE_TOKEN is set, and it is sent only to a service that you name, not to whatever an endpoints.json names. Give --api URL --ca FILE, or set KEYLINE_API and KEYLINE_CA; or unset KEYLINE_TOKEN to call as the admin of endpoints.json.',
      );
    }
    return { via: 'token', token: new Secret(fromEnvironment.trim()) };
  }
  if (endpoints !== undefined) {
    return loadCertificateCaller(endpoints.admin.certificate, endpoints.admin.key);
  }
  throw new KeylineError(
    'USAGE',
    'Who is calling? Give --cert and --key, or --token-file, or set KEYLINE_TOKEN.',
  );
}

async function loadEndpoints(context: CliContext, option: string | undefined): Promise<Endpoints> {
  const named = option ?? variable(context, 'KEYLINE_ENDPOINTS');
  const path = resolve(context.cwd, named ?? '.keyline/endpoints.json');
  const text = await readTextIfThere(path, 'endpoints.json');
  if (text === undefined) {
    throw new KeylineError(
      'SERVICE_UNREACHABLE',
      `Keyline does not seem to be running: there is no ${path}. Start it with "keyline up --data .keyline", or say where it is: --endpoints FILE, or --api URL --ca FILE.`,
    );
  }
  return parseEndpoints(text, path);
}

/** What the command line names goes before what the environment does. */
function namedApi(context: CliContext, options: LocationOptions): string | undefined {
  if (options.api !== undefined) return options.api;
  return options.endpoints === undefined ? variable(context, 'KEYLINE_API') : undefined;
}

function variable({ env }: CliContext, name: string): string | undefined {
  return env[name] || undefined;
}

/** The service found by options, called as the caller they name. @throws {KeylineError} */
export async function openClient(context: CliContext, options: ClientOptions): Promise<ApiClient> {
  const service = await findService(context, options);
  return createClient(service, await findCaller(context, options, service.endpoints));
}
