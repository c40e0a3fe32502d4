// Calls the REST API by the contract's table: path, method and types come from there; the service validates.
import { problemTable, routes, type RouteName } from '@keyline/api';
import { escapeLine, KeylineError, type ErrorCode } from '@keyline/kernel';
import type { Static, TSchema } from 'typebox';
import type { Caller } from './caller.ts';
import type { ServiceLocation } from './service-location.ts';
import { Transport, type HttpAnswer } from './transport.ts';

type Contract<Name extends RouteName> = (typeof routes)[Name];
type Part<Name extends RouteName, Key extends 'params' | 'query' | 'body'> =
  Contract<Name> extends Readonly<Record<Key, infer Schema extends TSchema>>
    ? Readonly<Record<Key, Static<Schema>>>
    : unknown;

/** What a route takes: its path parameters, query and body, as far as it has them. */
export type RouteInput<Name extends RouteName> = Part<Name, 'params'> &
  Part<Name, 'query'> &
  Part<Name, 'body'>;
export type RouteAnswer<Name extends RouteName> = Static<Contract<Name>['response']>;

interface AnyInput {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly body?: unknown;
}

export class ApiClient {
  readonly transport: Transport;
  readonly location: ServiceLocation;

  constructor(location: ServiceLocation, transport: Transport) {
    this.location = location;
    this.transport = transport;
  }

  /** @throws {KeylineError} the problem's code, or SERVICE_UNREACHABLE */
  async call<Name extends RouteName>(
    name: Name,
    input: RouteInput<Name>,
  ): Promise<RouteAnswer<Name>> {
    return (await this.callWithStatus(name, input)).answer;
  }

  /** The same with the status, where 200 and 201 mean different things. */
  async callWithStatus<Name extends RouteName>(
    name: Name,
    input: RouteInput<Name>,
  ): Promise<{ status: number; answer: RouteAnswer<Name> }> {
    const { method } = routes[name];
    const { body } = input as AnyInput;
    const answer = await this.transport.send(method, routePath(name, input), body);
    if (answer.status >= 400) throw errorOfProblem(answer);
    return { status: answer.status, answer: parseJson(answer) as RouteAnswer<Name> };
  }

  /** A plain document outside the table, such as the trust bundle. @throws {KeylineError} */
  async getText(path: string): Promise<string> {
    const answer = await this.transport.send('GET', path);
    if (answer.status >= 400) throw errorOfProblem(answer);
    return answer.text;
  }

  close(): void {
    this.transport.close();
  }
}

/**
 * A client that calls as `caller`; to be closed.
 * @param options.timeout milliseconds without a byte before the service counts as gone; half a minute when absent
 * @throws {KeylineError} FILE_UNREADABLE
 */
export function createClient(
  service: ServiceLocation,
  caller: Caller,
  options: { readonly timeout?: number } = {},
): ApiClient {
  return new ApiClient(service, new Transport({ ...service, caller, ...options }));
}

/** Path and query of a call. */
export function routePath<Name extends RouteName>(name: Name, input: RouteInput<Name>): string {
  const { params, query } = input as AnyInput;
  const path = routes[name].url.replace(/:(\w+)/g, (_, key: string) =>
    encodeURIComponent(params?.[key] ?? ''),
  );
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value !== undefined) search.set(key, String(value));
  }
  return search.size === 0 ? path : `${path}?${search.toString()}`;
}

/** A problem document (RFC 9457) as the error it stands for; anything else as a defect of the service. */
export function errorOfProblem(answer: HttpAnswer): KeylineError {
  let problem: { code?: unknown; detail?: unknown; instance?: unknown };
  try {
    problem = JSON.parse(answer.text) as typeof problem;
  } catch {
    // Not a problem document: a proxy's page, or another server altogether.
    problem = {};
  }
  const named = typeof problem.code === 'string' ? problem.code : undefined;
  const code: ErrorCode =
    named !== undefined && isErrorCode(named)
      ? named
      : answer.status === 404
        ? 'NOT_FOUND'
        : answer.status < 500
          ? 'REQUEST_INVALID'
          : 'INTERNAL';
  const detail =
    typeof problem.detail === 'string'
      ? escapeLine(problem.detail)
      : `The service answered with status ${String(answer.status)} and no explanation. Is it Keyline?`;
  return new KeylineError(code, detail, {
    context: {
      status: answer.status,
      ...(typeof problem.instance === 'string' ? { instance: problem.instance } : {}),
    },
  });
}

/** Whether a code that came over the wire is one that this version knows. */
function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(problemTable, code);
}

function parseJson(answer: HttpAnswer): unknown {
  try {
    return JSON.parse(answer.text);
  } catch (error) {
    throw new KeylineError(
      'INTERNAL',
      'The service answered with something that is not JSON. Is it Keyline?',
      {
        cause: error,
      },
    );
  }
}
