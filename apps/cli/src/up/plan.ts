// Which address and ports this Keyline uses: chosen once, kept in keyline.json, because URLs inside certificates and devices hold them.
import { createServer, isIP, type Server } from 'node:net';
import { isNodeError, readTextIfThere, replaceFile } from '@keyline/files';
import { drawServicePort, KeylineError, messageOf } from '@keyline/kernel';

const portNames = ['api', 'http', 'broker', 'metrics'] as const;
export type PortName = (typeof portNames)[number];

/** Keyline's own broker, or Eclipse Mosquitto of this machine. */
export const engines = ['embedded', 'mosquitto'] as const;
export type Engine = (typeof engines)[number];

export interface Plan {
  readonly version: 1;
  readonly engine: Engine;
  /** Written into URLs and certificates: how devices reach this machine. */
  readonly host: string;
  /** IP address to listen on, when that is not the host: in a container, behind NAT. `0.0.0.0` and `::` are all addresses. */
  readonly listen?: string | undefined;
  readonly ports: Readonly<Record<PortName, number>>;
}

export interface PlanOptions {
  readonly engine?: Engine | undefined;
  readonly host?: string | undefined;
  readonly listen?: string | undefined;
  readonly ports: Readonly<Partial<Record<PortName, number | undefined>>>;
}

export const defaultHost = '127.0.0.1';

const purposes: Record<PortName, { readonly what: string; readonly option: string }> = {
  api: { what: 'the API', option: '--port-api' },
  http: { what: 'CRL and OCSP', option: '--port-http' },
  broker: { what: 'the broker', option: '--port-broker' },
  metrics: { what: "the broker's metrics", option: '' },
};

/**
 * The plan in the file, with what the options may change; a new one when there is none.
 * @throws {KeylineError} USAGE when an option would make URLs in issued certificates untrue, FILE_UNREADABLE
 */
export async function loadPlan(file: string, options: PlanOptions): Promise<Plan> {
  const text = await readTextIfThere(file, 'the plan of this folder');
  const plan =
    text === undefined ? await createPlan(options) : changePlan(parsePlan(text, file), options);
  await replaceFile(file, `${JSON.stringify(plan, null, 2)}\n`);
  return plan;
}

async function createPlan(options: PlanOptions): Promise<Plan> {
  const host = options.host ?? defaultHost;
  assertHost(host);
  const listen = listenOf(options, host);
  const free = await findFreePorts(listen ?? host, portNames.length);
  const ports = Object.fromEntries(
    portNames.map((name, index) => [name, options.ports[name] ?? free[index] ?? 0]),
  ) as Record<PortName, number>;
  return {
    version: 1,
    engine: options.engine ?? 'embedded',
    host,
    ...(listen === undefined ? {} : { listen }),
    ports,
  };
}

function changePlan(plan: Plan, options: PlanOptions): Plan {
  if (options.host !== undefined && options.host !== plan.host) {
    throw new KeylineError(
      'USAGE',
      `This folder was made for --host ${plan.host}, which stands in the certificates. Leave --host out, or begin a new folder.`,
    );
  }
  const { http } = options.ports;
  if (http !== undefined && http !== plan.ports.http) {
    throw new KeylineError(
      'USAGE',
      `This folder was made for --port-http ${String(plan.ports.http)}, which stands in every certificate (CRL, OCSP). Leave --port-http out, or begin a new folder.`,
    );
  }
  const ports = { ...plan.ports };
  for (const name of portNames) ports[name] = options.ports[name] ?? ports[name];
  const { listen: before, ...rest } = plan;
  const listen = options.listen === undefined ? before : listenOf(options, plan.host);
  return {
    ...rest,
    engine: options.engine ?? plan.engine,
    ...(listen === undefined ? {} : { listen }),
    ports,
  };
}

/** Undefined when it is the host: that needs no saying. */
function listenOf({ listen }: Pick<PlanOptions, 'listen'>, host: string): string | undefined {
  if (listen === undefined || listen === host) return undefined;
  if (isIP(listen) === 0) {
    throw new KeylineError(
      'USAGE',
      `"${listen.slice(0, 100)}" is no IP address to listen on. Give one of this machine's, or 0.0.0.0 or :: for all of them; names go with --host.`,
    );
  }
  return listen;
}

const everywhere: readonly string[] = ['0.0.0.0', '::'];

/** A wildcard can be listened on but not be dialled, and a bare word is no host name in a certificate's URLs. */
function assertHost(host: string): void {
  if (host === '0.0.0.0' || host === '::' || !/[.:]/.test(host)) {
    throw new KeylineError(
      'USAGE',
      `"${host}" can't stand in a URL that devices call. Give the address or full name by which they reach this machine, for instance 127.0.0.1 or ca.example.org; what to listen on goes with --listen.`,
    );
  }
}

function parsePlan(text: string, file: string): Plan {
  try {
    const { version, engine = 'embedded', host, listen, ports } = JSON.parse(text) as Partial<Plan>;
    const isPort = (name: PortName): boolean => Number.isInteger(ports?.[name]);
    if (
      version === 1 &&
      engines.includes(engine) &&
      typeof host === 'string' &&
      (listen === undefined || isIP(listen) !== 0) &&
      ports !== undefined &&
      portNames.every(isPort)
    ) {
      return { version, engine, host, ...(listen === undefined ? {} : { listen }), ports };
    }
  } catch (error) {
    throw new KeylineError('FILE_UNREADABLE', `${file} is not JSON (${messageOf(error)}).`, {
      cause: error,
    });
  }
  throw new KeylineError(
    'FILE_UNREADABLE',
    `${file} is not a plan that this version of Keyline knows. Bring it back from a backup: ports and names in it stand in certificates.`,
  );
}

/** @throws {KeylineError} USAGE naming each port that is taken */
export async function assertPortsFree(plan: Plan): Promise<void> {
  for (const name of portNames) {
    const port = plan.ports[name];
    const host = plan.listen ?? plan.host;
    const error = await tryListen(host, port);
    if (error === undefined) continue;
    const { what, option } = purposes[name];
    const where = `${host}:${String(port)} (${what})`;
    if (isNodeError(error, 'EADDRINUSE')) {
      throw new KeylineError(
        'USAGE',
        `Another program listens on ${where}. See which: ss -ltnp "sport = :${String(port)}". Stop it${
          name === 'api' || name === 'broker' ? `, or give another port: ${option} N` : ''
        }.`,
      );
    }
    throw new KeylineError('USAGE', `Can't listen on ${where}: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

function tryListen(host: string, port: number): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen(port, host, () => {
      server.close(() => {
        resolve(undefined);
      });
    });
  });
}

/** Held open together, so that they differ. @throws {KeylineError} USAGE */
async function findFreePorts(host: string, count: number): Promise<number[]> {
  const held: Server[] = [];
  try {
    const ports: number[] = [];
    while (ports.length < count) {
      const port = drawServicePort();
      const server = createServer();
      const problem = await new Promise<Error | undefined>((resolve) => {
        server.once('error', resolve);
        server.listen(port, host, () => {
          resolve(undefined);
        });
      });
      if (problem === undefined) {
        held.push(server);
        ports.push(port);
      } else if (!isNodeError(problem, 'EADDRINUSE')) {
        throw new KeylineError('USAGE', `Can't listen on ${host}: ${messageOf(problem)}.`, {
          cause: problem,
        });
      }
    }
    return ports;
  } finally {
    await Promise.all(held.map((server) => new Promise((done) => server.close(done))));
  }
}

interface Urls {
  readonly api: string;
  readonly http: string;
  readonly broker: string;
}

/**
 * URLs by which this machine's own programs reach each other. What listens on all addresses is reached without leaving the machine: from
 * inside a container or a NAT, its outer name often leads nowhere. The certificates carry 127.0.0.1 too.
 */
export function innerUrlsOf(plan: Plan): Urls {
  const isEverywhere = plan.listen !== undefined && everywhere.includes(plan.listen);
  return urlsOf(isEverywhere ? { ...plan, host: '127.0.0.1' } : plan);
}

/** URLs as devices and scripts use them. */
export function urlsOf({ host, ports }: Plan): Urls {
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    api: `https://${name}:${String(ports.api)}`,
    http: `http://${name}:${String(ports.http)}`,
    broker: `mqtts://${name}:${String(ports.broker)}`,
  };
}
