import { readTemplate } from '../../deploy/local/configuration/template.ts';

/**
 * The environment, by app id, with which each service writes a CPU profile into this folder when it stops:
 * https://nodejs.org/api/cli.html#--cpu-prof.
 */
export function profiledBy(folder: string): Record<string, Record<string, string>> {
  const { common, apps } = readTemplate();
  return Object.fromEntries(
    apps.map(({ appID }) => {
      const flags = ['--cpu-prof', `"--cpu-prof-dir=${folder}"`, `--cpu-prof-name=${appID}.cpuprofile`];
      return [appID, { NODE_OPTIONS: [common.env['NODE_OPTIONS'], ...flags].join(' ') }];
    }),
  );
}
