# packaging.mk
#	  What others get: an archive of the sources, and a bill of materials of what
#	  was built.

RELEASE        = $(call version_of,RELEASE)
DIST           = build/webhook-$(RELEASE)

# The archives are of the last commit, whatever the tree has besides.
.PHONY: dist
dist:
	@mkdir -p build
	git archive --format=zip --prefix=webhook-$(RELEASE)/ -o $(DIST).zip HEAD
	git archive --format=tar --prefix=webhook-$(RELEASE)/ HEAD | gzip -n9 > $(DIST).tar.gz

# The portal has its own, because it is a package of its own.
.PHONY: sbom
sbom: all
	@mkdir -p build
	perl packaging/sbom.pl webhook$(DLSUFFIX) $(HTTP_LIB) > build/webhook.spdx.json
	$(if $(wildcard $(PORTAL_PROGRAM)),perl packaging/sbom.pl $(PORTAL_PROGRAM) > build/webhook-portal.spdx.json)
