// The embedded broker's own state machine, with its journal on a disk, behind the dynamic-security kind.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDynsecEngine, type DynsecEngine } from '@keyline/dynsec';
import { createDynsecTarget, type DynsecAnswer, type DynsecCommand } from '../../src/index.ts';
import { Reach, type TargetSurroundings } from './target-surroundings.ts';

const admin = { username: 'keyline@service', clientId: 'keyline@service' };

export async function createDynsecSurroundings(): Promise<TargetSurroundings> {
  const parent = mkdtempSync(join(tmpdir(), 'keyline-target-'));
  const reach = new Reach();
  const refused = new Set<string>();
  let folders = 0;
  const start = (): Promise<DynsecEngine> =>
    openDynsecEngine({ folder: join(parent, String(++folders)), admins: [admin.username] });
  let engine = await start();

  async function execute(commands: readonly DynsecCommand[]): Promise<DynsecAnswer[]> {
    const { response } = await engine.execute(Buffer.from(JSON.stringify({ commands })), admin);
    const { responses } = JSON.parse(response) as { responses: DynsecAnswer[] };
    return responses;
  }

  async function byHand(...commands: DynsecCommand[]): Promise<void> {
    for (const { error } of await execute(commands))
      if (error !== undefined) throw new Error(error);
  }

  return {
    open(events) {
      const client = {
        send: (commands: readonly DynsecCommand[]) =>
          reach.call(() =>
            execute(
              commands.map((command) =>
                refused.has(command['username'] as string) ? { command: 'getDetails' } : command,
              ),
            ).then((answers) =>
              answers.map((answer, position) =>
                refused.has(commands[position]?.['username'] as string)
                  ? { command: answer.command, error: 'Internal error' }
                  : answer,
              ),
            ),
          ),
      };
      queueMicrotask(() => reach.add(events));
      return {
        ...createDynsecTarget({ name: 'dynsec', client }),
        url: 'mqtts://localhost',
        get isConnected() {
          return !reach.isAway;
        },
        reconnect: () => Promise.resolve(),
        disconnect: () => Promise.resolve(),
        close: () => Promise.resolve(),
      };
    },
    goAway: () => reach.goAway(),
    comeBack: () => reach.comeBack(),
    loseAnswerAfter: (calls) => reach.loseAnswerAfter(calls),
    async empty() {
      await engine.close();
      engine = await start();
    },
    grant: (username, rolename) =>
      byHand({
        ...{
          command: engine.checkIdentity(username) === 'unknown' ? 'createClient' : 'modifyClient',
        },
        ...{ username, roles: [{ rolename, priority: -1 }] },
      }),
    remove: (username) => byHand({ command: 'deleteClient', username }),
    refuse: (device) => void refused.add(device),
    letsIn: (device, serial) =>
      engine.checkIdentity(device) === 'known' &&
      engine.checkCertificate(device, serial) !== 'unlisted' &&
      !engine.isRevoked(serial),
    mayPublish: (device, topic) => engine.mayPublish({ username: device, clientId: device }, topic),
    async close() {
      await engine.close();
      rmSync(parent, { recursive: true, force: true });
    },
  };
}
