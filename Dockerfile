# Targets: "app", everything but FreeSurfer and SynthStrip; "full", with both, the default.
# docs/containers.md has the build arguments.
ARG BASE_IMAGE=debian:bookworm-slim
ARG FREESURFER_IMAGE=freesurfer/freesurfer:7.4.1
ARG SYNTHSTRIP_IMAGE=freesurfer/synthstrip:1.6


FROM ${BASE_IMAGE} AS python
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 \
 && rm -rf /var/lib/apt/lists/*


# Everything Python but our own code: these layers stay when the code changes.
FROM python AS dependencies
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3-pip \
 && rm -rf /var/lib/apt/lists/* \
 && python3 -m venv --without-pip /opt/cmb_bidsapp
WORKDIR /src
# An index beside pip's own, for a build of torch that the latter does not have.
ARG PIP_EXTRA_INDEX_URL
ARG TORCH=auto
COPY container/install.sh pyproject.toml constraints.txt ./
RUN sh install.sh "${TORCH}"


FROM dependencies AS templateflow
COPY container/fetch_template.py ./
RUN /opt/cmb_bidsapp/bin/python fetch_template.py /opt/templateflow


FROM dependencies AS code
COPY pyproject.toml README.md LICENSE ./
COPY cmb_bidsapp cmb_bidsapp
# The link: login shells forget the path of the image.
RUN python3 -m pip --python /opt/cmb_bidsapp/bin/python install --no-cache-dir --no-deps --root /code . \
 && mkdir -p /code/usr/local/bin \
 && ln -s /opt/cmb_bidsapp/bin/cmb_bidsapp /code/usr/local/bin/


FROM python AS app
COPY --from=dependencies /opt/cmb_bidsapp /opt/cmb_bidsapp
COPY --from=templateflow /opt/templateflow /opt/templateflow
COPY --from=code /code /
COPY LICENSE container/bill_of_materials.py /usr/share/cmb_bidsapp/
ENV PATH=/opt/cmb_bidsapp/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    PYTHONNOUSERSITE=1 \
    TEMPLATEFLOW_HOME=/opt/templateflow \
    TEMPLATEFLOW_AUTOUPDATE=0
RUN python /usr/share/cmb_bidsapp/bill_of_materials.py
# Python as process 1 minds an interrupt, not the SIGTERM that "docker stop" sends by default.
STOPSIGNAL SIGINT
ENTRYPOINT ["cmb_bidsapp"]
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
ARG IMAGE=cmb_bidsapp:${VERSION}
ARG TORCH=auto
ENV CMB_BIDSAPP_IMAGE=${IMAGE} \
    CMB_BIDSAPP_REVISION=${REVISION}
LABEL org.opencontainers.image.title="cmb_bidsapp" \
      org.opencontainers.image.description="Cerebral microbleeds in T1w and T2*w brain MRI, from a BIDS folder to MARS tables" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      cmb_bidsapp.torch.requested="${TORCH}"


# From FreeSurfer what recon-all and mri_synthseg need.
FROM ${FREESURFER_IMAGE} AS freesurfer
COPY container/select.sh container/freesurfer.txt /
RUN sh /select.sh /freesurfer.txt /usr/local/freesurfer /selected


FROM ${SYNTHSTRIP_IMAGE} AS synthstrip
RUN ls /freesurfer/mri_synthstrip /freesurfer/models/synthstrip.1.pt


# What mri_synthstrip imports and our own code does not; its wheel is made of C.
FROM dependencies AS surfa
RUN apt-get update \
 && apt-get install -y --no-install-recommends gcc libc6-dev libpython3-dev \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m pip --python /opt/cmb_bidsapp/bin/python install --no-cache-dir -c constraints.txt --root /surfa surfa


FROM app AS full
RUN apt-get update \
 && apt-get install -y --no-install-recommends bc gawk libgomp1 libquadmath0 tcsh time \
 && rm -rf /var/lib/apt/lists/*
COPY --from=freesurfer /selected /opt/freesurfer
COPY --from=surfa /surfa /
COPY --from=synthstrip /freesurfer/mri_synthstrip /opt/freesurfer/bin/
COPY --from=synthstrip /freesurfer/models /opt/freesurfer/models
ENV PATH=/opt/cmb_bidsapp/bin:/opt/freesurfer/bin:/usr/local/bin:/usr/bin:/bin \
    FREESURFER_HOME=/opt/freesurfer \
    FREESURFER=/opt/freesurfer \
    SUBJECTS_DIR=/opt/freesurfer/subjects \
    FS_OVERRIDE=0 \
    FIX_VERTEX_AREA= \
    FSF_OUTPUT_FORMAT=nii.gz \
    OS=Linux
ARG FREESURFER_IMAGE
ARG SYNTHSTRIP_IMAGE
RUN python /usr/share/cmb_bidsapp/bill_of_materials.py \
    "FreeSurfer=${FREESURFER_IMAGE}" "SynthStrip=${SYNTHSTRIP_IMAGE}"
LABEL org.opencontainers.image.licenses="Apache-2.0 AND LicenseRef-FreeSurfer"
