// The machines of docs/production.md on this one: each with a file system in which its own folders lie at their real paths, service and device
// in networks of their own that a virtual cable joins, and names in /etc/hosts. What only a real machine has (sudo, systemctl, useradd) is played
// by small scripts. Needs root; nothing of it can be reached from outside.
import { execFileSync, spawn } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { projectFolder } from './keyline.ts';

export type Host = 'root' | 'service' | 'device';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Of nobody on this machine. */
const ids = { keyline: 61_234, device: 61_235 } as const;
const addresses = { service: '192.0.2.10', device: '192.0.2.20' } as const;
const names = ['ca.plant.example', 'mqtt.plant.example'];

/** Whether this user may make networks and mount folders. */
export function mayMakeHosts(): boolean {
  if (process.getuid?.() !== 0) return false;
  const name = `kl-try-${String(process.pid)}`;
  try {
    execFileSync('ip', ['netns', 'add', name], { stdio: 'ignore' });
    execFileSync('ip', ['netns', 'exec', name, 'mount', '--bind', '/srv', '/srv'], {
      stdio: 'ignore',
    });
    return true;
  } catch {
    return false;
  } finally {
    if (existsSync(`/run/netns/${name}`)) execFileSync('ip', ['netns', 'del', name]);
  }
}

export class PlantHosts {
  readonly #folder = mkdtempSync('/tmp/keyline-plant-');
  readonly #networks = {
    service: `kl-s-${String(process.pid)}`,
    device: `kl-d-${String(process.pid)}`,
    root: `kl-r-${String(process.pid)}`,
  } as const;

  constructor() {
    chmodSync(this.#folder, 0o755);
    try {
      for (const host of ['root', 'service', 'device'] as const) this.#makeHost(host);
      this.#join();
    } catch (error) {
      this.#takeDown();
      throw error;
    }
  }

  /** A file of a host, by its path there: below /srv, /media or the device's home. */
  path(host: Host, ...parts: string[]): string {
    return join(this.#folder, host, ...parts);
  }

  /** What the service's supervisor kept of `keyline up`. */
  journal(): string {
    const file = this.path('service', 'journal');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Process id of `keyline up` on the service. */
  mainPid(): number {
    return Number(readFileSync(this.path('service', 'main.pid'), 'utf8'));
  }

  /** One command line, as somebody types it there. */
  run(host: Host, line: string): Promise<Ran> {
    const script = `set -e
for one in srv media usr/local etc/systemd/system; do
  [ -d /$one ] && [ -d "$HERE/$one" ] && mount --bind "$HERE/$one" /$one
done
cd ${host === 'device' ? '"$HERE/home"' : '/srv'}
umask 022
exec ${host === 'device' ? `setpriv --reuid ${String(ids.device)} --regid ${String(ids.device)} --clear-groups ` : ''}bash -c "$LINE"`;
    const child = spawn(
      'ip',
      [
        'netns',
        'exec',
        this.#networks[host],
        'sh',
        '-c',
        `mount --bind /usr/local "$HERE/original"\n${script}`,
      ],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: `/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:${dirname(process.execPath)}`,
          HERE: join(this.#folder, host),
          HOME: host === 'device' ? this.path(host, 'home') : '/srv',
          LINE: line,
          ID: String(ids.keyline),
        },
      },
    );
    let out = '';
    let err = '';
    child.stdout.setEncoding('utf8').on('data', (part: string) => (out += part));
    child.stderr.setEncoding('utf8').on('data', (part: string) => (err += part));
    return new Promise((resolve, reject) => {
      child.on('error', reject);
      child.on('close', (code) => {
        resolve({ code: code ?? 1, out, err });
      });
    });
  }

  async close(): Promise<void> {
    if (existsSync(this.path('service', 'main.pid'))) await end(this.mainPid());
    this.#takeDown();
  }

  #takeDown(): void {
    for (const network of Object.values(this.#networks)) {
      if (existsSync(`/run/netns/${network}`)) execFileSync('ip', ['netns', 'del', network]);
      rmSync(`/etc/netns/${network}`, { recursive: true, force: true });
    }
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #makeHost(host: Host): void {
    const at = (...parts: string[]): string => this.path(host, ...parts);
    for (const folder of [
      'srv',
      'home',
      'original',
      'usr/local/bin',
      'usr/local/lib/node_modules',
    ]) {
      mkdirSync(at(folder), { recursive: true });
    }
    chownSync(at('home'), ids.device, ids.device);
    if (host === 'service') mkdirSync(at('etc/systemd/system'), { recursive: true });
    // One stick for all of them.
    const stick = join(this.#folder, 'media');
    mkdirSync(stick, { recursive: true });
    symlinkSync(stick, at('media'));
    // What this machine has in /usr/local stays there.
    for (const folder of ['', 'bin', 'lib']) {
      for (const name of readdirSync(join('/usr/local', folder))) {
        const place = at('usr/local', folder, name);
        if (!existsSync(place)) symlinkSync(join(at('original'), folder, name), place);
      }
    }
    for (const [name, folder] of Object.entries(launchers)) {
      const launcher = join(projectFolder, 'apps', folder, 'bin', name);
      rmSync(at('usr/local/bin', name), { force: true });
      symlinkSync(launcher, at('usr/local/bin', name));
    }
    for (const [name, text] of Object.entries(played[host])) {
      rmSync(at('usr/local/bin', name), { force: true });
      writeFileSync(at('usr/local/bin', name), text, { mode: 0o755 });
    }
    rmSync(at('usr/local/lib/node_modules/keyline'), { force: true });
    symlinkSync(projectFolder, at('usr/local/lib/node_modules/keyline'));
    const network = this.#networks[host];
    execFileSync('ip', ['netns', 'add', network]);
    execFileSync('ip', ['-n', network, 'link', 'set', 'lo', 'up']);
    const etc = `/etc/netns/${network}`;
    mkdirSync(etc, { recursive: true });
    const known = host === 'root' ? '' : `${addresses.service} ${names.join(' ')}\n`;
    writeFileSync(join(etc, 'hosts'), `127.0.0.1 localhost\n${known}`);
    const own = `keyline:x:${String(ids.keyline)}:`;
    writeFileSync(
      join(etc, 'passwd'),
      `${readFileSync('/etc/passwd', 'utf8')}${own}${String(ids.keyline)}::/srv/keyline:/usr/sbin/nologin\n`,
    );
    writeFileSync(join(etc, 'group'), `${readFileSync('/etc/group', 'utf8')}${own}\n`);
  }

  #join(): void {
    const ends = { service: `kls${String(process.pid)}`, device: `kld${String(process.pid)}` };
    const ip = (...args: string[]): void => void execFileSync('ip', args);
    ip('link', 'add', ends.service, 'type', 'veth', 'peer', 'name', ends.device);
    for (const host of ['service', 'device'] as const) {
      const network = this.#networks[host];
      ip('link', 'set', ends[host], 'netns', network);
      ip('-n', network, 'address', 'add', `${addresses[host]}/24`, 'dev', ends[host]);
      ip('-n', network, 'link', 'set', ends[host], 'up');
    }
  }
}

/** As "make install" leaves them; that it does is another test's. */
const launchers = {
  keyline: 'cli',
  'keyline-root': 'root-ca',
  'keyline-ca': 'ca',
  'keyline-broker': 'broker',
} as const;

async function end(pid: number): Promise<void> {
  for (let signal: NodeJS.Signals | 0 = 'SIGTERM'; ; signal = 0) {
    try {
      process.kill(pid, signal);
    } catch {
      return; // it is gone
    }
    await sleep(50);
  }
}

const nothing = '#!/bin/sh\nexit 0\n';
const asKeyline = 'setpriv --reuid "$ID" --regid "$ID" --clear-groups --no-new-privs';
const noCapabilities = '--inh-caps=-all --ambient-caps=-all --bounding-set=-all';

const played: Readonly<Record<Host, Readonly<Record<string, string>>>> = {
  // Somebody types the passphrase, and "yes".
  root: {
    'keyline-root': `#!/bin/sh
real=${join(projectFolder, 'apps/root-ca/bin/keyline-root')}
[ "$1" = inspect ] && exec "$real" "$@"
echo 'six words that nobody else knows' | "$real" "$@" --passphrase-file - --yes
`,
  },
  device: {},
  service: {
    make: nothing,
    useradd: nothing,
    sudo: `#!/bin/sh
[ "$1" = -u ] || exec "$@"
shift 2
exec ${asKeyline} ${noCapabilities} -- "$@"
`,
    // What keyline.service says, and no more than that: its user, its capabilities, its commands.
    systemctl: `#!/bin/sh
set -eu
unit=/etc/systemd/system/keyline.service
say() { sed -n "s/^$1=//p" "$unit"; }
start() {
  sh -c "$(say ExecStartPre)"
  capability=+$(say AmbientCapabilities | sed 's/^CAP_//' | tr A-Z a-z)
  [ "$(say User)" = keyline ] && [ "$(say NoNewPrivileges)" = yes ]
  cd "$(say WorkingDirectory)"
  umask "$(say UMask)"
  ulimit -n "$(say LimitNOFILE)" 2>/dev/null || true
  ${asKeyline} --inh-caps=-all,$capability --bounding-set=-all,$capability --ambient-caps=-all,$capability -- \\
    $(say ExecStart) >>"$HERE/journal" 2>&1 </dev/null &
  echo $! >"$HERE/main.pid"
  timeout "$(say TimeoutStartSec)" sh -c "$(say ExecStartPost | sed "s/^.*-c '\\(.*\\)'$/\\1/")"
}
stop() {
  pid=$(cat "$HERE/main.pid")
  kill -TERM "$pid"
  while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
}
case "$*" in
  daemon-reload) ;;
  'enable --now keyline' | 'start keyline') start ;;
  'stop keyline') stop ;;
  'restart keyline') stop; start ;;
  *) echo "systemctl $*: not played" >&2; exit 2 ;;
esac
`,
  },
};
