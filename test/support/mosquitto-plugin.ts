// Where Debian, or who built Mosquitto, put the dynamic-security plugin.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const pluginName = 'mosquitto_dynamic_security.so';

/** @throws {Error} when it is not on this machine */
export function findPlugin(): string {
  for (const folder of ['/usr/lib', '/usr/local/lib']) {
    const below = existsSync(folder) ? ['.', ...readdirSync(folder)] : [];
    for (const name of below) {
      const path = join(folder, name, pluginName);
      if (existsSync(path)) return path;
    }
  }
  throw new Error(`${pluginName} was not found; it comes with Debian's package mosquitto.`);
}
