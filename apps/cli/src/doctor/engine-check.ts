// Which engine the broker runs on, and what a version of Mosquitto costs: said once here, so that nobody has to find out.
import { fetchPlain } from '@keyline/client';
import { fail, ok, warn, type Finding } from './finding.ts';

const check = 'broker engine';

/** @param metrics base URL; undefined: it is not known, and nothing is said */
export async function checkEngine(metrics: string | undefined): Promise<Finding[]> {
  if (metrics === undefined) return [];
  const { bytes } = await fetchPlain(`${metrics}/metrics`);
  return judgeEngine(bytes.toString('utf8'));
}

/** @param text in Prometheus' format */
export function judgeEngine(text: string): Finding[] {
  const version = /^keyline_broker_info\{engine="mosquitto",version="([^"]+)"\} 1$/m.exec(
    text,
  )?.[1];
  const is = (name: string, value: number): boolean =>
    new RegExp(`^keyline_broker_${name} ${String(value)}$`, 'm').test(text);
  if (version === undefined) {
    if (!is('sessions_kept', 0)) return [ok(check, 'Keyline’s own')];
    return [
      fail(
        check,
        'Keyline’s own, and it can not keep sessions and messages on disk: it takes no QoS 1 and 2 meanwhile',
        'Make room in the data folder, or repair its disk; the broker tries again every few seconds. logs/keyline-broker.log has the error.',
      ),
    ];
  }
  const findings = [judgeVersion(version)];
  if (is('up', 0)) {
    findings.push(fail(check, 'Mosquitto does not serve', 'See why in logs/keyline-broker.log.'));
  }
  if (is('crl_waiting', 1)) {
    findings.push(
      warn(
        check,
        'Mosquitto does not know the newest CRL or certificate yet',
        'Revoked devices have no rights meanwhile. It is restarted for it, after three times at most once a minute, or told as soon as no session is offline.',
      ),
    );
  }
  return findings;
}

function judgeVersion(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major > 2 || minor >= 1) {
    return ok(
      check,
      `Mosquitto ${version}: reloads its CRL while it runs; rights in a device’s own name are in its acl_file`,
    );
  }
  return warn(
    check,
    `Mosquitto ${version}: its dynamic security knows no %u, so a device may do in its own name what any role allows; it writes its whole state for each change of a device (16 ms with 20,000); and it is restarted for a new CRL while sessions are offline, because a reload could crash it`,
    'Mosquitto 2.1 reloads safely and writes once for many changes; the embedded broker (keyline up --broker embedded) has none of this.',
  );
}
