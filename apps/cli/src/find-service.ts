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
import { readText, readTextIfThere } from '@keyline/files';
import { KeylineError, Secret } from '@keyline/kernel';
import type { ClientOptions, LocationOptions } from './command-line/client-options.ts';
import type { CliContext } from './context.ts';
import { getContext, loadContexts, type SavedContext } from './login/contexts-file.ts';
import { readToken } from './read-token.ts';

/** Where the service is, and what said so. */
export interface ChosenService {
  readonly location: ServiceLocation;
  /** Absolute path of the endpoints.json that was read. */
  readonly endpointsFile?: string;
  /** The saved connection (`keyline login`) that was used. */
  readonly saved?: SavedContext;
}

/**
 * What the command line names, else what the environment does, else what was saved or lies in this folder.
 * @throws {KeylineError} SERVICE_UNREACHABLE when nothing says where it is, USAGE, NOT_FOUND, FILE_NOT_FOUND, FILE_UNREADABLE
 */
export async function chooseService(
  context: CliContext,
  options: LocationOptions,
): Promise<ChosenService> {
  if (options.context !== undefined && (options.api ?? options.endpoints) !== undefined) {
    throw new KeylineError(
      'USAGE',
      'Give --context, or --api or --endpoints: they all say where the service is.',
    );
  }
  const api = namedApi(context, options);
  if (api !== undefined) return { location: await locate(context, options, api) };
  const saved = await findSaved(context, options);
  if (saved === undefined) return fromEndpoints(context, options, options.endpoints);
  if (saved.endpoints !== undefined) {
    return { ...(await fromEndpoints(context, options, saved.endpoints)), saved };
  }
  const caPem =
    options.ca === undefined
      ? (saved.caPem ?? '')
      : await readText(resolve(context.cwd, options.ca), 'the trust anchors (--ca)');
  return { location: { api: parseApiUrl(saved.api ?? ''), caPem, endpoints: undefined }, saved };
}

/** The same, of which only the place matters. @throws {KeylineError} as chooseService does */
export async function findService(
  context: CliContext,
  options: LocationOptions,
): Promise<ServiceLocation> {
  return (await chooseService(context, options)).location;
}

async function locate(
  context: CliContext,
  options: LocationOptions,
  api: string,
): Promise<ServiceLocation> {
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

async function fromEndpoints(
  context: CliContext,
  options: LocationOptions,
  file: string | undefined,
): Promise<ChosenService> {
  const { endpoints, path } = await loadEndpoints(context, file);
  const caFile = options.ca === undefined ? endpoints.ca : resolve(context.cwd, options.ca);
  const caPem = await readText(caFile, 'the trust anchors');
  return { location: { api: parseApiUrl(endpoints.api), caPem, endpoints }, endpointsFile: path };
}

/**
 * The saved connection to use, if one is. One that was chosen once must not quietly take the place of the Keyline of this folder: a device
 * would be revoked somewhere else.
 */
async function findSaved(
  context: CliContext,
  options: LocationOptions,
): Promise<SavedContext | undefined> {
  const named = options.context ?? nameFromEnvironment(context, options);
  if (named !== undefined) return getContext(await loadContexts(context), named);
  if ((options.endpoints ?? variable(context, 'KEYLINE_ENDPOINTS')) !== undefined) return undefined;
  const all = await loadContexts(context);
  if (all.current === undefined) return undefined;
  const saved = getContext(all, all.current);
  const path = resolve(context.cwd, usualEndpoints);
  const here = await readTextIfThere(path, 'endpoints.json');
  if (here === undefined || saved.endpoints === path) return saved;
  const { api } = parseEndpoints(here, path);
  if (saved.api === parseApiUrl(api)) return saved;
  throw new KeylineError(
    'USAGE',
    `Which Keyline? This folder has one (${api}), and the context "${all.current}" (keyline login) is another (${saved.api ?? saved.endpoints ?? ''}). Say --endpoints ${usualEndpoints} or --context ${all.current}, or set KEYLINE_CONTEXT.`,
  );
}

function nameFromEnvironment(context: CliContext, options: LocationOptions): string | undefined {
  return options.endpoints === undefined ? variable(context, 'KEYLINE_CONTEXT') : undefined;
}

/**
 * The caller: --cert and --key, --token-file, KEYLINE_TOKEN, else the one of the saved connection or the admin of endpoints.json.
 * @throws {KeylineError} USAGE, FILE_NOT_FOUND, FILE_UNREADABLE
 */
export async function findCaller(
  context: CliContext,
  options: ClientOptions,
  { location, saved }: ChosenService,
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
    const token = await readToken(context, options.tokenFile, 'api');
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
  if (saved?.token !== undefined) return { via: 'token', token: new Secret(saved.token) };
  if (saved?.certificate !== undefined && saved.key !== undefined) {
    return loadCertificateCaller(saved.certificate, saved.key);
  }
  const { endpoints } = location;
  if (endpoints !== undefined) {
    return loadCertificateCaller(endpoints.admin.certificate, endpoints.admin.key);
  }
  throw new KeylineError(
    'USAGE',
    'Who is calling? Give --cert and --key, or --token-file, or set KEYLINE_TOKEN.',
  );
}

const usualEndpoints = '.keyline/endpoints.json';

async function loadEndpoints(
  context: CliContext,
  option: string | undefined,
): Promise<{ endpoints: Endpoints; path: string }> {
  const named = option ?? variable(context, 'KEYLINE_ENDPOINTS');
  const path = resolve(context.cwd, named ?? usualEndpoints);
  const text = await readTextIfThere(path, 'endpoints.json');
  if (text === undefined) {
    throw new KeylineError(
      'SERVICE_UNREACHABLE',
      `Keyline does not seem to be running: there is no ${path}. Start it with "keyline up --data .keyline", or say where it is: --endpoints FILE, or --api URL --ca FILE ("keyline login" saves that).`,
    );
  }
  return { endpoints: parseEndpoints(text, path), path };
}

/** What the command line names goes before what the environment does. */
function namedApi(context: CliContext, options: LocationOptions): string | undefined {
  if (options.api !== undefined) return options.api;
  if (options.endpoints !== undefined || options.context !== undefined) return undefined;
  return variable(context, 'KEYLINE_API');
}

function variable({ env }: CliContext, name: string): string | undefined {
  return env[name] || undefined;
}

/** The service found by options, called as the caller they name. @throws {KeylineError} */
export async function openClient(context: CliContext, options: ClientOptions): Promise<ApiClient> {
  const chosen = await chooseService(context, options);
  return createClient(chosen.location, await findCaller(context, options, chosen));
}
