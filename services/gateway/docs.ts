import type { Router } from 'express';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { notFound } from '../shared/problem.ts';
import { allowOnly, exactRouter } from './edge.ts';
import { openApi } from './openapi.ts';
import type { Route } from './routes.ts';

/** The parts of Swagger UI that the page needs; the package has more, and an example of its own. */
const ASSETS: ReadonlySet<string> = new Set(['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png']);
const ASSETS_FOLDER = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

const PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <meta name="viewport" content="width=device-width, initial-scale=1" />
    <title>Sidecart API</title>
    <link rel="icon" href="/docs/favicon-32x32.png" />
    <link rel="stylesheet" href="/docs/swagger-ui.css" />
  </head>
  <body>
    <div id="api"></div>
    <script src="/docs/swagger-ui-bundle.js"></script>
    <script>
      SwaggerUIBundle({ url: '/openapi.json', dom_id: '#api', persistAuthorization: true });
    </script>
  </body>
</html>
`;

/** `GET /openapi.json`: the API's description; `GET /docs`: a page that shows it and can call it. */
export function docs(routes: readonly Route[]): Router {
  let description: string | undefined;
  const router = exactRouter();
  router.get('/openapi.json', (_req, res) => {
    // Made when it is first asked for: nobody should pay for it at every start.
    description ??= JSON.stringify(openApi(routes));
    res.type('json').send(description);
  });
  router.get('/docs', (_req, res) => void res.type('html').send(PAGE));
  router.get('/docs/:file', (req, res) => {
    const { file } = req.params;
    if (!ASSETS.has(file)) throw notFound('file');
    res.sendFile(file, { root: ASSETS_FOLDER, maxAge: '1d' });
  });
  for (const path of ['/openapi.json', '/docs', '/docs/:file']) allowOnly(router, path, ['GET']);
  return router;
}
