// Which addresses and ports this Keyline uses, kept in keyline.json, because URLs inside certificates and devices hold them. keyline.yaml
// says what they should be, where there is one; what they were before stays known, for as long as certificates may name it.
import { isIP } from 'node:net';
import { readTextIfThere, replaceFile } from '@keyline/files';
import { KeylineError, messageOf } from '@keyline/kernel';
import type { PlantConfig } from '@keyline/config';
import {
  earlierHttpPortsOf,
  isEarlierAddress,
  isTexts,
  leaveAddress,
  type EarlierAddress,
} from './earlier-address.ts';
import { assertFree, findFreePorts, type PlaceToListen } from './ports.ts';

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
  /** In server certificates beside it. */
  readonly otherHosts?: readonly string[] | undefined;
  /** IP address to listen on, when that is not the host: in a container, behind NAT. `0.0.0.0` and `::` are all addresses. */
  readonly listen?: string | undefined;
  readonly ports: Readonly<Record<PortName, number>>;
  /** Latest last. */
  readonly earlier?: readonly EarlierAddress[] | undefined;
}

export interface PlanOptions {
  readonly engine?: Engine | undefined;
  readonly host?: string | undefined;
  readonly listen?: string | undefined;
  readonly ports: Readonly<Partial<Record<PortName, number | undefined>>>;
}

/** What keyline.yaml says of it. */
export type PlannedByFile = Pick<PlantConfig, 'hosts' | 'listen' | 'ports'> & {
  readonly broker: Pick<PlantConfig['broker'], 'engine' | 'ports'>;
};

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
  const known = await readPlan(file);
  const plan = known === undefined ? await createPlan(options) : changePlan(known, options);
  await writePlan(file, plan);
  return plan;
}

/**
 * The plan as keyline.yaml has it. Where that names another address than the plan did, the one before is kept as an earlier one.
 * @param now epoch milliseconds
 * @throws {KeylineError} USAGE when an option says otherwise than keyline.yaml, FILE_UNREADABLE
 */
export async function loadPlanOf(
  plant: PlannedByFile,
  { file, options, now }: { file: string; options: PlanOptions; now: number },
): Promise<Plan> {
  assertAgrees(plant, options);
  const known = await readPlan(file);
  const [host = defaultHost, ...otherHosts] = plant.hosts;
  const metrics =
    plant.ports.metrics ?? known?.ports.metrics ?? (await findFreePorts('127.0.0.1', 1))[0] ?? 0;
  const { listen } = plant;
  const next: Plan = {
    version: 1,
    engine: plant.broker.engine,
    host,
    ...(otherHosts.length === 0 ? {} : { otherHosts }),
    ...(listen === host ? {} : { listen }),
    ports: { ...plant.ports, metrics },
  };
  const earlier =
    known === undefined
      ? []
      : leaveAddress(known.earlier, {
          ...{ left: addressOf(known), next: addressOf(next), now },
          listen: known.listen ?? (isIP(known.host) === 0 ? undefined : known.host),
        });
  const plan = earlier.length === 0 ? next : { ...next, earlier };
  assertEarlierPorts(plan, plant.broker.ports);
  await writePlan(file, plan);
  return plan;
}

/** @throws {KeylineError} FILE_UNREADABLE */
export async function readPlan(file: string): Promise<Plan | undefined> {
  const text = await readTextIfThere(file, 'the plan of this folder');
  return text === undefined ? undefined : parsePlan(text, file);
}

export async function writePlan(file: string, plan: Plan): Promise<void> {
  await replaceFile(file, `${JSON.stringify(plan, null, 2)}\n`);
}

function addressOf(plan: Plan): { hosts: readonly string[]; http: string } {
  return { hosts: hostsOf(plan), http: urlsOf(plan).http };
}

/** An earlier plain port goes on answering, so nothing else can have it. */
function assertEarlierPorts(plan: Plan, others: PlannedByFile['broker']['ports']): void {
  const earlier = earlierHttpPortsOf(plan);
  const own = (['api', 'broker', 'metrics'] as const).map((name) => ({
    what: purposes[name].what,
    port: plan.ports[name],
  }));
  for (const { what, port } of [...own, ...others]) {
    if (!earlier.includes(port)) continue;
    throw new KeylineError(
      'USAGE',
      `Port ${String(port)} can't be that of ${what}: certificates name it for their CRL and OCSP, and it goes on answering. Choose another in keyline.yaml.`,
    );
  }
}

function assertAgrees(plant: PlannedByFile, options: PlanOptions): void {
  type Said = string | number | undefined;
  const said: readonly (readonly [string, Said, Said])[] = [
    ['--host', options.host, plant.hosts[0]],
    ['--listen', options.listen, plant.listen],
    ['--broker', options.engine, plant.broker.engine],
    ...(['api', 'http', 'broker'] as const).map(
      (name) => [purposes[name].option, options.ports[name], plant.ports[name]] as const,
    ),
  ];
  for (const [option, given, planned] of said) {
    if (given === undefined || given === planned) continue;
    throw new KeylineError(
      'USAGE',
      `keyline.yaml in this folder says ${String(planned)}, and ${option} says ${String(given)}. Leave ${option} out, and change keyline.yaml${option === '--host' ? ' with "keyline move --host NAME"' : ''}.`,
    );
  }
}

/** Every name and address that a client may know it by. */
export function namesOf(plan: Plan): { dnsNames: string[]; ipAddresses: string[] } {
  const { listen, earlier = [] } = plan;
  const names = new Set([
    ...['localhost', '127.0.0.1'],
    ...hostsOf(plan),
    ...earlier.flatMap(({ hosts }) => hosts),
    // How this machine's own programs call it.
    ...(listen === undefined || everywhere.includes(listen) ? [] : [listen]),
  ]);
  return {
    dnsNames: [...names].filter((name) => isIP(name) === 0),
    ipAddresses: [...names].filter((name) => isIP(name) !== 0),
  };
}

export function hostsOf({ host, otherHosts = [] }: Plan): readonly string[] {
  return [host, ...otherHosts];
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
      `This folder was made for --host ${plan.host}, which stands in the certificates. Leave --host out; to give it another name: "keyline init --data DIR --host ${options.host}" makes its keyline.yaml, and what certificates name goes on answering.`,
    );
  }
  const { http } = options.ports;
  if (http !== undefined && http !== plan.ports.http) {
    throw new KeylineError(
      'USAGE',
      `This folder was made for --port-http ${String(plan.ports.http)}, which stands in every certificate (CRL, OCSP). Leave --port-http out; to change it: "keyline init --data DIR --port-http ${String(http)}" makes its keyline.yaml, and the port that certificates name goes on answering.`,
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
    const {
      version,
      engine = 'embedded',
      host,
      otherHosts,
      listen,
      ports,
      earlier,
    } = JSON.parse(text) as Partial<Plan>;
    const isPort = (name: PortName): boolean => Number.isInteger(ports?.[name]);
    if (
      version === 1 &&
      engines.includes(engine) &&
      typeof host === 'string' &&
      (otherHosts === undefined || isTexts(otherHosts)) &&
      (listen === undefined || isIP(listen) !== 0) &&
      ports !== undefined &&
      portNames.every(isPort) &&
      (earlier === undefined || (Array.isArray(earlier) && earlier.every(isEarlierAddress)))
    ) {
      return {
        ...{ version, engine, host },
        ...(otherHosts === undefined ? {} : { otherHosts }),
        ...(listen === undefined ? {} : { listen }),
        ports,
        ...(earlier === undefined ? {} : { earlier }),
      };
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

/**
 * @param byFile where keyline.yaml says the ports: those of the broker beside its own
 * @throws {KeylineError} USAGE naming each port that is taken
 */
export async function assertPortsFree(
  plan: Plan,
  byFile?: { readonly others: readonly { readonly what: string; readonly port: number }[] },
): Promise<void> {
  const host = plan.listen ?? plan.host;
  await assertFree([
    ...portNames.map((name): PlaceToListen => ({
      host: name === 'metrics' ? '127.0.0.1' : host,
      port: plan.ports[name],
      what: purposes[name].what,
      instead: name === 'api' || name === 'broker' ? `${purposes[name].option} N` : undefined,
    })),
    ...(byFile?.others ?? []).map(({ what, port }) => ({ host, port, what })),
    ...earlierHttpPortsOf(plan).map((port) => ({
      ...{ host, port },
      what: 'CRL and OCSP of certificates that were issued before it moved',
    })),
  ]);
}

interface Urls {
  readonly api: string;
  readonly http: string;
  readonly broker: string;
}

/**
 * URLs by which this machine's own programs reach each other. They call what is listened on: from inside a container or a NAT, the outer
 * name often leads nowhere, and many a machine's own name leads to an address that nothing listens on. The certificates carry it too.
 */
export function innerUrlsOf(plan: Plan): Urls {
  const { listen } = plan;
  if (listen === undefined) return urlsOf(plan);
  return urlsOf({ ...plan, host: everywhere.includes(listen) ? '127.0.0.1' : listen });
}

/** URLs as devices and scripts use them; a scheme's usual port is left out, as it is in certificates. */
export function urlsOf({ host, ports }: Pick<Plan, 'host' | 'ports'>): Urls {
  const name = host.includes(':') ? `[${host}]` : host;
  return {
    api: new URL(`https://${name}:${String(ports.api)}`).origin,
    http: new URL(`http://${name}:${String(ports.http)}`).origin,
    broker: `mqtts://${name}:${String(ports.broker)}`,
  };
}
