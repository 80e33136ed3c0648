import { Router, type RequestHandler } from 'express';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import type { ServiceDescription } from '../../shared/api-docs/route-table.ts';
import { asyncApi } from '../../shared/api-docs/asyncapi.ts';
import { openApi } from '../../shared/api-docs/openapi.ts';
import { notFound } from '../../shared/http/problem.ts';
import { cachedJson } from '../../shared/runtime/service-app.ts';
import { ABOUT } from '../api.ts';
import { methodNotAllowed, createStrictRouter } from './api-router.ts';
import { docsSecurityHeaders } from './security-headers.ts';

/** The files of Swagger UI that the page needs. */
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
    <script src="/docs/start.js"></script>
  </body>
</html>
`;

const START = `SwaggerUIBundle({ url: '/openapi.json', dom_id: '#api', persistAuthorization: true });\n`;

/** The handlers of `GET /openapi.json` and `GET /asyncapi.json`. */
export function documents(
  descriptions: readonly ServiceDescription[],
): Record<'GET /openapi.json' | 'GET /asyncapi.json', RequestHandler> {
  return {
    'GET /openapi.json': cachedJson(() => openApi(descriptions, 'public', ABOUT)),
    'GET /asyncapi.json': cachedJson(() => asyncApi(descriptions)),
  };
}

/** `GET /docs`: a page that shows the API and can call it. */
export function docsPage(): Router {
  const router = createStrictRouter();
  router.use('/docs', docsSecurityHeaders());
  router.get('/docs', (_req, res) => void res.type('html').send(PAGE));
  router.get('/docs/start.js', (_req, res) => void res.type('js').send(START));
  router.get('/docs/:file', (req, res) => {
    const { file } = req.params;
    if (!ASSETS.has(file)) throw notFound('file');
    res.sendFile(file, { root: ASSETS_FOLDER, maxAge: '1d' });
  });
  for (const path of ['/docs', '/docs/:file']) methodNotAllowed(router, path, { methods: ['GET'] });
  return router;
}
