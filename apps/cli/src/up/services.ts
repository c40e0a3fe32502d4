// How the two services are called: their arguments, and the files they are watched by.
import { join } from 'node:path';
import { ServiceLog, type LogBounds } from '@keyline/process';
import type { ChildSpec } from './child.ts';
import type { Layout } from './layout.ts';
import { earlierHttpPortsOf } from './earlier-address.ts';
import { innerUrlsOf, namesOf, urlsOf, type Plan } from './plan.ts';
import { programs } from './programs.ts';

interface Shared {
  readonly layout: Layout;
  readonly plan: Plan;
  readonly env: NodeJS.ProcessEnv;
  readonly say: (text: string) => void;
  readonly onReady: () => void;
  readonly logBounds: LogBounds;
  /** Epoch milliseconds. */
  readonly now: () => number;
}

/** CN of the certificate with which the issuing CA administers the broker. */
const issuingAdmin = 'keyline@service';

export function caSpec(
  given: Shared & {
    config: string;
    tlsVersion: '1.2' | '1.3' | undefined;
    /** To listen on beside what the plan says. */
    alsoListen: readonly string[];
    /** Of the broker, where it speaks MQTT over WebSocket. */
    websocketPort: number | undefined;
  },
): ChildSpec {
  const { layout, plan, config, tlsVersion, alsoListen, websocketPort } = given;
  const listens = plan.listen === undefined && alsoListen.length > 0 ? [plan.host] : [];
  const { dnsNames, ipAddresses } = namesOf(plan);
  return {
    ...watchedBy('keyline-ca', given),
    program: programs['keyline-ca'],
    args: [
      'serve',
      ...['--data', layout.ca.folder],
      ...['--config', config],
      ...['--host', plan.host],
      ...[...dnsNames, ...ipAddresses].flatMap((name) => ['--other-name', name]),
      ...(tlsVersion === undefined ? [] : ['--tls-version', tlsVersion]),
      ...[plan.listen ?? [], listens, alsoListen]
        .flat()
        .flatMap((address) => ['--listen', address]),
      ...['--port', String(plan.ports.api)],
      ...['--http-port', String(plan.ports.http)],
      ...earlierHttpPortsOf(plan).flatMap((port) => ['--other-http-port', String(port)]),
      ...['--broker-url', urlsOf(plan).broker],
      ...(websocketPort === undefined
        ? []
        : [
            '--broker-websocket-url',
            urlsOf({ ...plan, ports: { ...plan.ports, broker: websocketPort } }).broker.replace(
              'mqtts',
              'wss',
            ),
          ]),
      ...['--broker-inner-url', innerUrlsOf(plan).broker],
      ...['--ready-file', filesOf('keyline-ca', layout).readyFile],
    ],
  };
}

/**
 * @param given.admin CN of the person who may administer the broker too, with mosquitto_ctrl for instance
 * @param given.more arguments that a person gave
 */
export function brokerSpec(
  given: Shared & { admin: string; config: string; more: readonly string[] },
): ChildSpec {
  const { layout, plan, admin, config, more } = given;
  return {
    ...watchedBy('keyline-broker', given),
    program: programs['keyline-broker'],
    args: [
      'serve',
      ...['--data', layout.broker.folder],
      ...['--host', plan.listen ?? plan.host],
      ...['--port', String(plan.ports.broker)],
      ...['--metrics-port', String(plan.ports.metrics)],
      ...['--cert', layout.broker.certificate],
      ...['--key', layout.broker.key],
      ...['--ca', layout.broker.ca],
      ...['--admin', issuingAdmin],
      ...['--admin', admin],
      ...['--ready-file', filesOf('keyline-broker', layout).readyFile],
      ...(plan.engine === 'mosquitto'
        ? mosquittoArguments(layout, config)
        : [
            ...['--client-authorities', layout.ca.clientAuthorities],
            ...['--admin-certificate', layout.ca.brokerAdmin],
            ...['--admin-certificate', layout.admin.certificate],
          ]),
      ...more,
    ],
  };
}

function mosquittoArguments(layout: Layout, config: string): string[] {
  return [
    ...['--engine', 'mosquitto'],
    ...['--config', config],
    // The embedded broker is told of revocations by the issuing CA; Mosquitto reads them from the CRL.
    ...['--crl-urls', layout.broker.crls],
  ];
}

function watchedBy(
  name: string,
  { layout, env, say, onReady, logBounds, now }: Shared,
): Omit<ChildSpec, 'program' | 'args'> {
  const files = filesOf(name, layout);
  const log = new ServiceLog({ path: files.logFile, bounds: logBounds, now });
  return { ...files, env, say, onReady, log };
}

function filesOf(
  name: string,
  layout: Layout,
): Pick<ChildSpec, 'name' | 'readyFile' | 'pidFile' | 'logFile'> {
  return {
    name,
    readyFile: join(layout.run, `${name}.ready`),
    pidFile: join(layout.run, `${name}.pid`),
    logFile: join(layout.logs, `${name}.log`),
  };
}
