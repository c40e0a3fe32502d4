// A broker that speaks dynamic security, behind the port: identities are its clients. How messages reach it is the sender's.
import { createDynsecClient, type DynsecClientOptions } from '@keyline/dynsec';
import type { KeylineError } from '@keyline/kernel';
import type {
  ActualIdentity,
  ConnectedTarget,
  ConnectionEvents,
  Outcome,
  PassedOver,
  Step,
  Target,
} from '../target.ts';
import { openBrokerLine, type BrokerLine } from './broker-line.ts';
import { readReports } from './certificate-reports.ts';
import {
  commandsFor,
  correctionsFor,
  readClient,
  readPassedOver,
  type DynsecIdentity,
} from './client-commands.ts';
import type { Dialect } from './dialect.ts';
import {
  isMissing,
  isThereAlready,
  isUnknownCommand,
  readList,
  readObject,
  type DynsecAnswer,
  type DynsecCommand,
  type DynsecSender,
} from './dynsec-messages.ts';
import { createFilledRoles } from './filled-roles.ts';
import { prepareBroker } from './prepare-broker.ts';
import { readPresence } from './presence.ts';

// A verbose client is some 100 bytes; Mosquitto builds the page while nothing else runs.
const clientsPerPage = 500;
/** Of Keyline's own broker, which is what one is taken for until it was asked. */
const ours: Dialect = {
  fillsNames: true,
  knowsSerials: true,
  limitsRates: true,
  inlineRoles: true,
};

export function createDynsecTarget({
  name,
  client,
}: {
  readonly name: string;
  readonly client: DynsecSender;
}): Target {
  const line = openBrokerLine({ name, client });
  const roleKeeper = createFilledRoles(line);
  let dialect = ours;
  let isKnown = false;
  let reportsSeen = { start: '', last: 0 };

  async function send(steps: readonly Step[], endedSerials: readonly string[]): Promise<Outcome> {
    const revocation =
      endedSerials.length > 0 && dialect.knowsSerials
        ? [{ command: 'revokeCertificates', serials: endedSerials }]
        : [];
    const asked = steps.map((step) => ({ step, commands: commandsOf(step, dialect) }));
    const commands = [...revocation, ...asked.flatMap((one) => one.commands)];
    if (commands.length === 0) return { refusals: new Map(), passedOver: [] };
    const answers = await line.sendAll(commands);
    const [revoked] = answers;
    const refusal =
      revocation.length > 0 && revoked?.error !== undefined
        ? line.refused(commands[0], revoked)
        : undefined;
    const refusals = new Map<string, KeylineError>();
    const known: Step[] = [];
    let next = revocation.length;
    for (const { step, commands: own } of asked) {
      const given = answers.slice(next, next + own.length);
      next += own.length;
      const { desired } = step;
      if (given.some(isThereAlready)) {
        known.push(step);
        continue;
      }
      const fault = own.findIndex((command, position) => isFault(command, given[position]));
      const answer = given[fault];
      // Disabling one that is not there, then emptying it: both say it is missing, and that is as good.
      const isGone = desired.state === 'suspended' && given.every(isMissing);
      if (answer !== undefined && !isGone) {
        refusals.set(desired.device, line.refused(own[fault], answer));
      }
    }
    const passedOver = answers.flatMap(readPassedOver);
    const corrected = known.length === 0 ? undefined : await correct(known);
    return {
      refusals: new Map([...refusals, ...(corrected?.refusals ?? [])]),
      refusal,
      passedOver: [...passedOver, ...(corrected?.passedOver ?? [])],
    };
  }

  /** Clients that were to be made and are there: changed only where they differ, because a change ends the client's session. */
  async function correct(steps: readonly Step[]): Promise<Outcome> {
    const clients = await line.ask(
      steps.map(({ desired }) => ({ command: 'getClient', username: desired.device })),
    );
    const asked = steps.map(({ desired }, position) => ({
      desired,
      commands: correctionsFor(
        desired,
        readClient(readObject(clients[position]?.data, 'client'), desired.device, dialect),
        dialect,
      ),
    }));
    const commands = asked.flatMap((one) => one.commands);
    const answers = commands.length === 0 ? [] : await line.sendAll(commands);
    const refusals = new Map<string, KeylineError>();
    let next = 0;
    for (const { desired, commands: own } of asked) {
      const given = answers.slice(next, next + own.length);
      next += own.length;
      const fault = given.findIndex(({ error }) => error !== undefined);
      const answer = given[fault];
      if (answer !== undefined) refusals.set(desired.device, line.refused(own[fault], answer));
    }
    return { refusals, passedOver: answers.flatMap(readPassedOver) };
  }

  async function askForReports(after: number): Promise<ReturnType<typeof readReports>> {
    const [answer] = await line.ask([{ command: 'getCertificateReports', after }]);
    return readReports(answer?.data);
  }

  return {
    name,
    async prepare(roles) {
      const [details, serials] = await line.ask(
        [{ command: 'getDetails' }, { command: 'revokeCertificates', serials: [] }],
        () => true,
      );
      // Mosquitto has getDetails from 2.1; only Keyline's broker knows serials.
      const isOurs = serials !== undefined && !isUnknownCommand(serials);
      dialect = {
        fillsNames: isOurs,
        knowsSerials: isOurs,
        limitsRates: isOurs,
        inlineRoles: details?.error === undefined,
      };
      isKnown = true;
      roleKeeper.forget();
      return prepareBroker(line.ask, roles, dialect);
    },
    capabilities: () =>
      isKnown
        ? {
            refusesSerials: dialect.knowsSerials,
            fillsNames: dialect.fillsNames,
            deniesUnknown: dialect.fillsNames,
          }
        : undefined,
    list: () => listClients(line, dialect),
    batchSize(what) {
      // A device takes so many commands at most, and its payload must not hold the broker for long.
      const commandsEach = what === 'deny' ? 3 : dialect.inlineRoles ? 1 : 2;
      return Math.max(1, Math.floor(line.payloadSize() / commandsEach));
    },
    giveRoles: (roles) => roleKeeper.give(roles, dialect),
    dropRoles: (keep) => roleKeeper.drop(keep),
    async put(steps) {
      await roleKeeper.give(
        steps.flatMap(({ desired }) => desired.rights ?? []),
        dialect,
      );
      return send(steps, []);
    },
    deny: send,
    unansweredFor: () => line.unansweredFor(),
    async admit(certificates): Promise<readonly PassedOver[]> {
      const [answer] = await line.ask([{ command: 'admitCertificates', certificates }]);
      return answer === undefined ? [] : readPassedOver(answer);
    },
    async takeReports() {
      let told = await askForReports(reportsSeen.last);
      // Another start of the broker counts anew.
      if (told.start !== reportsSeen.start && reportsSeen.last > 0) told = await askForReports(0);
      reportsSeen = { start: told.start, last: told.last };
      return told.reports;
    },
    async settleUses(reports) {
      const uses = reports
        .filter(({ kind }) => kind === 'used')
        .map(({ device, serial }) => ({ username: device, serial }));
      if (uses.length > 0) await line.ask([{ command: 'settleCertificateUses', uses }]);
    },
    async takePresence({ start, last, refusalBatch }) {
      if (!dialect.knowsSerials) return undefined;
      const [answer] = await line.ask(
        [{ command: 'getPresence', start, after: last, refusalsAfter: refusalBatch }],
        () => true,
      );
      // An older one, or one that has told somebody else just now.
      if (answer?.error !== undefined) return undefined;
      return readPresence(answer?.data, Date.now());
    },
  };
}

/** With a connection of its own, which is made at once and again whenever it is lost. */
export function openDynsecTarget(
  spec: { readonly name: string } & Pick<DynsecClientOptions, 'url' | 'credentials'>,
  events: ConnectionEvents,
): ConnectedTarget {
  const { name, url, credentials } = spec;
  const client = createDynsecClient({ url, credentials, ...events });
  return {
    ...createDynsecTarget({ name, client }),
    url,
    get isConnected() {
      return client.isConnected;
    },
    reconnect: () => client.reconnect(),
    disconnect: () => client.disconnect(),
    close: () => client.close(),
  };
}

function commandsOf({ desired, actual }: Step, dialect: Dialect): DynsecCommand[] {
  return actual === undefined
    ? commandsFor(desired, dialect)
    : correctionsFor(desired, actual as DynsecIdentity, dialect);
}

/** A client that is gone was to be let go of; a role that is missing is a fault. */
function isFault(command: DynsecCommand, answer: DynsecAnswer | undefined): boolean {
  if (answer?.error === undefined) return false;
  const givesRole = command.command === 'addClientRole' || command['roles'] !== undefined;
  return givesRole || !isMissing(answer);
}

async function* listClients(
  line: BrokerLine,
  dialect: Dialect,
): AsyncGenerator<readonly ActualIdentity[]> {
  for (let offset = 0; ; offset += clientsPerPage) {
    const [answer] = await line.ask([
      { command: 'listClients', verbose: true, count: clientsPerPage, offset },
    ]);
    const page = readList(answer?.data, 'clients');
    yield page.flatMap((client) => {
      const { username } = client;
      return typeof username === 'string' ? [readClient(client, username, dialect)] : [];
    });
    if (page.length < clientsPerPage) return;
  }
}
