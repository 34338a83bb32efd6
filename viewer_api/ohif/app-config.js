/**
 * OHIF's configuration for the archive that serves it; the page loads it before the application.
 *
 * Addresses are those of the browser, so that OHIF works under every name of the server.
 */

window.PUBLIC_URL = "/ohif/";
window.browserImportFunction = (name) => import(name);

{
  const root = new URL("/dicom-web", location.origin).href;
  window.config = {
    routerBasename: "/ohif",
    extensions: [],
    modes: [],
    customizationService: {},
    showStudyList: true,
    maxNumberOfWebWorkers: 3,
    showWarningMessageForCrossOrigin: false, // nothing here needs a cross-origin isolated page
    showCPUFallbackMessage: true,
    showLoadingIndicator: true,
    strictZSpacingForVolumeViewport: true,
    groupEnabledModesFirst: true,
    maxNumRequests: { interaction: 100, thumbnail: 5, prefetch: 25 },
    showErrorDetails: "production",
    whiteLabeling: {
      createLogoComponentFn: (react) =>
        react.createElement(
          "a",
          { href: "/", style: { color: "#fff", fontWeight: 600, padding: "0 12px", textDecoration: "none" } },
          "Filmless",
        ),
    },
    defaultDataSourceName: "filmless",
    dataSources: [
      {
        namespace: "@ohif/extension-default.dataSourcesModule.dicomweb",
        sourceName: "filmless",
        configuration: {
          friendlyName: "Filmless",
          name: "filmless",
          wadoUriRoot: root,
          qidoRoot: root,
          wadoRoot: root,
          qidoSupportsIncludeField: true,
          supportsFuzzyMatching: false, // the archive finds names without diacritics in any case
          supportsWildcard: true,
          imageRendering: "wadors",
          thumbnailRendering: "thumbnail",
          thumbnailRequestStrategy: "fetch",
          enableStudyLazyLoad: true,
          bulkDataURI: {
            enabled: true,
            // The archive names itself by its PUBLIC_URL; the browser may know it by another name. OHIF keeps
            // what it transformed only where it then replaces the beginning as well.
            transform: (uri) => (uri.includes("/studies/") ? root + uri.slice(uri.indexOf("/studies/")) : uri),
            startsWith: root,
            prefixWith: root,
          },
        },
      },
    ],
  };
}
