// What keyline-broker loads: the rooms of the issuing CA have no place in the process that strangers reach.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

/** The rooms that are loaded with a module of this app. */
function roomsOf(module: string): readonly string[] {
  const program = `
    import { registerHooks } from 'node:module';
    const rooms = new Set();
    registerHooks({
      load(url, context, next) {
        const room = /\\/libs\\/([^/]+)\\/src\\//.exec(url)?.[1];
        if (room !== undefined) rooms.add(room);
        return next(url, context);
      },
    });
    process.argv = [process.argv[0], 'keyline-broker', '--help'];
    process.stdout.write = () => true;
    await import(${JSON.stringify(join(import.meta.dirname, '../src', module))});
    console.error(JSON.stringify([...rooms].sort()));`;
  const text = execFileSync(
    '/bin/sh',
    ['-c', '"$0" --input-type=module -e "$1" 2>&1', process.execPath, program],
    { encoding: 'utf8' },
  );
  return JSON.parse(text) as string[];
}

const ofTheIssuingCa = [
  'alerts',
  'api',
  'authorities',
  'config',
  'fleet',
  'ledger',
  'status',
  'store',
  'targets',
];

it('the embedded broker loads none of the rooms of the issuing CA', () => {
  const rooms = roomsOf('main.ts');
  expect(rooms).toEqual(expect.arrayContaining(['dynsec', 'mqtt', 'process']));
  expect(rooms.filter((room) => ofTheIssuingCa.includes(room))).toEqual([]);
});

it('sees them where they are: what makes the files of a Mosquitto reads ca-config', () => {
  expect(roomsOf('mosquitto/open-mosquitto-broker.ts')).toContain('config');
});
