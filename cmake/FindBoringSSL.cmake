# Finds BoringSSL, never OpenSSL: BoringSSL::SSL and BoringSSL::Crypto.
#
#   -DBORINGSSL_ROOT=DIR   look only there: an install prefix, or a source tree with its build/
#   (nothing)              Debian's android-libboringssl-dev, which lies outside the loader's path,
#                          so that programs get a run path to it
#
# BoringSSL has no version number; BORINGSSL_API_VERSION stands for it.
set(BORINGSSL_ROOT "" CACHE PATH "A BoringSSL install prefix, or its source tree with build/")
if(BORINGSSL_ROOT)
    set(_hints NO_DEFAULT_PATH PATHS ${BORINGSSL_ROOT} ${BORINGSSL_ROOT}/build)
    set(_library_names_ssl libssl.a ssl)
    set(_library_names_crypto libcrypto.a crypto)
    set(_suffixes lib lib64 ssl crypto "")
    find_path(BoringSSL_INCLUDE_DIR openssl/base.h ${_hints} PATH_SUFFIXES include)
else()
    set(_hints NO_DEFAULT_PATH PATHS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE} /usr/lib)
    set(_library_names_ssl ssl)
    set(_library_names_crypto crypto)
    set(_suffixes android)
    find_path(BoringSSL_INCLUDE_DIR openssl/base.h NO_DEFAULT_PATH PATHS /usr/include/android)
endif()
find_library(BoringSSL_SSL_LIBRARY NAMES ${_library_names_ssl} ${_hints} PATH_SUFFIXES ${_suffixes})
find_library(BoringSSL_CRYPTO_LIBRARY NAMES ${_library_names_crypto} ${_hints} PATH_SUFFIXES ${_suffixes})

if(BoringSSL_INCLUDE_DIR)
    file(STRINGS ${BoringSSL_INCLUDE_DIR}/openssl/base.h _boring REGEX "define OPENSSL_IS_BORINGSSL")
    file(STRINGS ${BoringSSL_INCLUDE_DIR}/openssl/base.h _api REGEX "define BORINGSSL_API_VERSION")
    string(REGEX MATCH "[0-9]+" BoringSSL_VERSION "${_api}")
    if(NOT _boring)
        message(FATAL_ERROR "${BoringSSL_INCLUDE_DIR} holds OpenSSL's headers; Tollgate needs BoringSSL's")
    endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(BoringSSL
    REQUIRED_VARS BoringSSL_SSL_LIBRARY BoringSSL_CRYPTO_LIBRARY BoringSSL_INCLUDE_DIR
    VERSION_VAR BoringSSL_VERSION
    REASON_FAILURE_MESSAGE "install android-libboringssl-dev, or pass -DBORINGSSL_ROOT=")

if(BoringSSL_FOUND AND NOT TARGET BoringSSL::SSL)
    foreach(part SSL CRYPTO)
        string(REPLACE CRYPTO Crypto name ${part})
        add_library(BoringSSL::${name} UNKNOWN IMPORTED)
        set_target_properties(BoringSSL::${name} PROPERTIES
            IMPORTED_LOCATION ${BoringSSL_${part}_LIBRARY}
            INTERFACE_INCLUDE_DIRECTORIES ${BoringSSL_INCLUDE_DIR})
        if(BoringSSL_${part}_LIBRARY MATCHES "\\.a$")
            set_target_properties(BoringSSL::${name} PROPERTIES
                INTERFACE_LINK_OPTIONS "LINKER:--exclude-libs,ALL")
        endif()
    endforeach()
    # libssl.so has no run path of its own: libcrypto must stand on the link line too.
    set_property(TARGET BoringSSL::SSL PROPERTY INTERFACE_LINK_LIBRARIES BoringSSL::Crypto)
    # Since 2023 it is C++ that wants its run-time library, which a static one does not bring along.
    if(BoringSSL_CRYPTO_LIBRARY MATCHES "\\.a$")
        set_property(TARGET BoringSSL::Crypto PROPERTY INTERFACE_LINK_LIBRARIES stdc++)
    endif()
endif()
mark_as_advanced(BoringSSL_INCLUDE_DIR BoringSSL_SSL_LIBRARY BoringSSL_CRYPTO_LIBRARY)
