// `keyline init`: asks what belongs to this machine and plant, and writes keyline.yaml and a copy of ca-config. Everything else is made
// by `keyline up`.
import { existsSync } from 'node:fs';
import { cp, readFile, rm } from 'node:fs/promises';
import { hostname, networkInterfaces } from 'node:os';
import { isIP } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import {
  findHostFault,
  findListenFault,
  loadPlantConfig,
  normalizeHost,
  type PlantConfig,
} from '@keyline/config';
import { createFolder, renameDurably, writeNewFile } from '@keyline/files';
import { KeylineError, quoteForShell } from '@keyline/kernel';
import { createAsker, type Asker } from '../ask.ts';
import { printJson, type CliContext, type JsonOption } from '../context.ts';
import { formatFacts } from '../print/table.ts';
import { layoutOf } from '../up/layout.ts';
import { readPlan, urlsOf, type Engine } from '../up/plan.ts';
import { defaultConfig } from '../up/programs.ts';
import { choosePort, judgePort, usualPorts, type ChosenPort } from './choose-ports.ts';
import { createPlantFile, type PlantChoices } from './plant-file.ts';

export interface InitOptions extends JsonOption {
  readonly data: string;
  readonly host?: string;
  readonly listen?: string;
  readonly portApi?: number;
  readonly portHttp?: number;
  readonly portBroker?: number;
  readonly broker?: Engine;
  readonly root?: 'here' | 'offline';
  readonly config?: string;
  /** A keyline.yaml to begin with. */
  readonly from?: string;
  readonly yes?: boolean;
}

type PortName = keyof PlantChoices['ports'];
const portNames = ['api', 'http', 'broker'] as const satisfies readonly PortName[];
const portQuestions: Record<PortName, string> = {
  api: 'Port of the API (HTTPS)',
  http: 'Port for CRL and OCSP (plain HTTP; it stands in certificates)',
  broker: 'Port of the broker (MQTT over TLS)',
};

export async function runInit(context: CliContext, options: InitOptions): Promise<void> {
  const layout = layoutOf(resolve(context.cwd, options.data));
  if (existsSync(layout.settings)) {
    throw new KeylineError(
      'FILE_EXISTS',
      `${layout.settings} is there already. Change it there ("keyline config check --data ${quoteForShell(options.data)}" looks it through); another name: "keyline move --data ${quoteForShell(options.data)} --host NAME".`,
    );
  }
  const before = await readPlan(layout.plan);
  const text =
    options.from === undefined
      ? createPlantFile(await choose(context, options))
      : await readChecked(resolve(context.cwd, options.from));
  await createFolder(layout.data, 0o700);
  await copyConfig(layout.data, text);
  await writeNewFile(layout.settings, text, { mode: 0o644 });
  const plant = await loadPlantConfig(layout.settings).catch(async (error: unknown) => {
    // What is corrected on the command line is not to meet it.
    await rm(layout.settings, { force: true });
    throw error;
  });
  describe(context, { options, plant, file: layout.settings, before: before && urlsOf(before) });
}

async function readChecked(file: string): Promise<string> {
  await loadPlantConfig(file);
  return readFile(file, 'utf8');
}

/** To be changed for this plant: what comes with Keyline is replaced with the next version. In one step, so that half of it is never there. */
async function copyConfig(data: string, text: string): Promise<void> {
  const folder = join(data, 'ca-config');
  if (!/^config: ca-config$/m.test(text) || existsSync(folder)) return;
  const beside = `${folder}.part`;
  await rm(beside, { recursive: true, force: true });
  await cp(defaultConfig, beside, { recursive: true });
  await renameDurably(beside, folder);
}

async function choose(context: CliContext, options: InitOptions): Promise<PlantChoices> {
  const { yes = false } = options;
  const given = options.host === undefined ? undefined : parseHosts(options.host);
  if (options.listen !== undefined) assertNothing(findListenFault(options.listen), '--listen');
  if (yes || !context.terminal.canAsk) {
    if (!yes || given === undefined) {
      throw new KeylineError(
        'USAGE',
        'There is nobody to ask. Say it on the command line: keyline init --data DIR --host NAME[,NAME] --listen ADDRESS --yes; or bring a file: --from keyline.yaml.',
      );
    }
    return decide(context, given, options, undefined);
  }
  const asker = createAsker(context);
  try {
    const hosts =
      given ??
      parseHosts(
        await asker.ask(
          'Names or addresses by which devices will reach this machine, the most lasting first (several: with commas)',
          suggestHost(),
          (answer) => hostsFault(answer),
        ),
      );
    const choices = await decide(context, hosts, options, asker);
    context.terminal.err(`\n${summary(choices)}\n`);
    const answer = await asker.ask('Write it?', 'yes', (word) =>
      /^(y|yes|n|no)$/i.test(word) ? undefined : 'Answer yes or no.',
    );
    if (/^n/i.test(answer)) throw new KeylineError('USAGE', 'Nothing was written.');
    return choices;
  } finally {
    await asker.close();
  }
}

/** With somebody to ask, what is chosen is only suggested. */
async function decide(
  context: CliContext,
  hosts: readonly string[],
  options: InitOptions,
  asker: Asker | undefined,
): Promise<PlantChoices> {
  const suggestedListen = hosts.every(isLoopback) ? (hosts[0] ?? '127.0.0.1') : '0.0.0.0';
  const listen =
    options.listen ??
    (await asker?.ask(
      'IP address to listen on (0.0.0.0: every address of this machine)',
      suggestedListen,
      findListenFault,
    )) ??
    suggestedListen;
  const ports: Record<PortName, number> = { api: 0, http: 0, broker: 0 };
  const asked: Record<PortName, number | undefined> = {
    api: options.portApi,
    http: options.portHttp,
    broker: options.portBroker,
  };
  for (const name of portNames) {
    const others = Object.values({ ...asked, [name]: undefined, ...taken(ports) });
    const fixed = asked[name];
    if (fixed !== undefined && others.includes(fixed)) {
      throw new KeylineError(
        'USAGE',
        `--port-${name}: ${String(fixed)} is the port of another of them.`,
      );
    }
    const chosen =
      fixed === undefined
        ? await choosePort(
            listen,
            usualPorts[name].filter((port) => !others.includes(port)),
          )
        : await judgePort(listen, fixed);
    remark(context, chosen);
    ports[name] =
      fixed !== undefined || asker === undefined
        ? chosen.port
        : Number(
            await asker.ask(portQuestions[name], String(chosen.port), (answer) =>
              portFault(answer, Object.values(taken(ports))),
            ),
          );
  }
  const root =
    options.root ??
    (await asker?.ask(
      'Where is the key of the root? "here" makes it in this folder; "offline" has it made on another machine, as a plant should',
      'here',
      (answer) => (isRootPlace(answer) ? undefined : 'Answer here or offline.'),
    )) ??
    'here';
  return {
    ...{ hosts, listen, ports },
    root: isRootPlace(root) ? root : 'here',
    engine: options.broker ?? 'embedded',
    config: options.config === undefined ? 'ca-config' : resolve(context.cwd, options.config),
  };
}

function isRootPlace(word: string): word is 'here' | 'offline' {
  return word === 'here' || word === 'offline';
}

function taken(ports: Readonly<Record<PortName, number>>): Partial<Record<PortName, number>> {
  return Object.fromEntries(Object.entries(ports).filter(([, port]) => port !== 0));
}

function remark({ terminal }: CliContext, { remarks, port }: ChosenPort): void {
  for (const one of remarks) {
    const mine = one.startsWith(`port ${String(port)} `);
    terminal.err(`note: ${one}${mine ? '' : `; ${String(port)} is suggested instead`}\n`);
  }
}

function portFault(answer: string, others: readonly number[]): string | undefined {
  const port = Number(answer);
  if (!/^\d{1,5}$/.test(answer) || port < 1 || port > 65_535) {
    return 'Give a TCP port: 1 to 65535.';
  }
  return others.includes(port) ? 'That is the port of another of them.' : undefined;
}

function isLoopback(host: string): boolean {
  return (isIP(host) === 4 && host.startsWith('127.')) || host === '::1';
}

/** @throws {KeylineError} USAGE */
export function parseHosts(text: string): readonly string[] {
  assertNothing(hostsFault(text), '--host');
  return text.split(',').map((host) => normalizeHost(host.trim()));
}

function hostsFault(text: string): string | undefined {
  const hosts = text.split(',').map((host) => host.trim());
  if (hosts.length > 20) return 'More than 20 names are too many.';
  for (const host of hosts) {
    const fault = findHostFault(host);
    if (fault !== undefined) return fault;
  }
  const distinct = new Set(hosts.map(normalizeHost));
  return distinct.size < hosts.length ? 'One of them is there twice.' : undefined;
}

function assertNothing(fault: string | undefined, option: string): void {
  if (fault !== undefined) throw new KeylineError('USAGE', `${option}: ${fault}`);
}

/** The full name of this machine, else its first address that is not its own alone. */
function suggestHost(): string {
  const name = hostname();
  if (findHostFault(name) === undefined) return normalizeHost(name);
  const addresses = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  return (
    addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? '127.0.0.1'
  );
}

function summary({ hosts, listen, ports, root }: Omit<PlantChoices, 'engine' | 'config'>): string {
  const [host = ''] = hosts;
  const { api, http, broker } = urlsOf({ host, ports: { ...ports, metrics: 0 } });
  return formatFacts([
    ['names', hosts.join(', ')],
    ['listens on', listen],
    ['API', api],
    ['CRL, OCSP', http],
    ['broker', broker],
    ['root', root === 'here' ? 'here, in this folder' : 'offline, on another machine'],
  ]);
}

function describe(
  context: CliContext,
  given: {
    readonly options: InitOptions;
    readonly plant: PlantConfig;
    readonly file: string;
    readonly before: { readonly http: string } | undefined;
  },
): void {
  const { options, plant, file, before } = given;
  const { hosts, listen, ports, root } = plant;
  if (options.json === true) {
    printJson(context, { file, hosts, listen, ports, root, config: plant.config ?? null });
    return;
  }
  context.terminal.out(`wrote ${file}

${summary(plant)}
${
  before === undefined
    ? ''
    : `This folder was called ${before.http} until now. What certificates name goes on being answered; "keyline doctor" says until when.\n\n`
}Next:
  keyline config check --data ${quoteForShell(options.data)}
  keyline up --data ${quoteForShell(options.data)}

Everything else can be set in ${file}: ports of the broker, limits, TLS, backups. ${
    plant.config === undefined || dirname(plant.config) !== dirname(file)
      ? ''
      : `Roles, device types and alerts: ${plant.config}.`
  }
`);
}
